// Package boards defines Tallygate's Grafana boards, one per file, over the
// constants of the packages whose metrics they show. Package gen writes them
// down as JSON.
//
// Every board has the same four variables, so that links from one to another
// keep what was chosen: data source, namespace, workload, reporter.
package boards
