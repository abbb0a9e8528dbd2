// Package fleet is what the admin API says about the mesh, and how the answers
// of several replicas become one: a proxy streams to one replica, so each knows
// a part.
//
// [Stat], [History], [Edges], [Entries] and the others are the JSON of
// /api/v1. [Ask] asks any number of replicas at once and merges what they say:
// counts and histograms add up, and each answer names the replicas that it is
// made of and those that did not answer. The server does the same for the
// console as the command line does for people, with the same code.
//
// A replica that does not answer makes an answer poorer, never an error, as
// long as one does.
package fleet
