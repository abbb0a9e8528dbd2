// Package console is the built-in page on the admin endpoint: who calls whom and
// how well, the last failures of an edge, one request with its decision and its
// trace, what comes now, the policies, the quotas and the proxies.
//
// It is plain HTML, CSS and JavaScript without a build step, and asks nobody but
// the admin API. The files hold no figure and no secret, and are served to
// everyone who can reach the port, under a policy that allows the page nothing
// but itself; what it shows needs a token.
package console
