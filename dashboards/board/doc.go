// Package board is the small part of Grafana's dashboard model that Tallygate's
// boards use: rows of panels, queries, variables, links. A [Board] is written
// down as what somebody wants to know, and [Board.JSON] makes the file that
// Grafana reads: it gives panels their ids and places, and every query its data
// source.
//
// It has no opinion on what a good board is: that is package lint's, which reads
// the JSON.
package board
