package lint

import (
	"slices"
	"strings"
)

// shared are the variables of every board.
var shared = []string{"datasource", "namespace", "workload", "reporter"}

func checkBoard(d *Dashboard, complain func(string, ...any)) {
	if d.UID == "" || d.File != d.UID+".json" {
		complain("uid %q; want the name of the file", d.UID)
	}
	if d.Title == "" || len(d.Description) < 40 {
		complain("title %q and description %q; want both, and the description to say what the board is for", d.Title, d.Description)
	}
	if !slices.Contains(d.Tags, "tallygate") {
		complain("tags %v; want tallygate among them", d.Tags)
	}
	i := slices.IndexFunc(d.Links, func(l DashboardLink) bool {
		return l.Type == "dashboards" && slices.Contains(l.Tags, "tallygate") && l.IncludeVars && l.KeepTime
	})
	if i < 0 {
		complain("no links to the other boards that keep variables and time")
	}
}

func checkVariables(d *Dashboard, complain func(string, ...any)) {
	seen := map[string]bool{}
	for _, v := range d.Templating.List {
		if seen[v.Name] {
			complain("two variables %s", v.Name)
		}
		seen[v.Name] = true
		if v.Label == "" && v.Hide == 0 {
			complain("variable %s has no label", v.Name)
		}
		if v.Type == "query" && v.Refresh != 2 {
			complain("variable %s is not asked for again when the time changes", v.Name)
		}
		if v.IncludeAll && v.AllValue != ".*" {
			complain("variable %s: All is %q; want .*, which also matches what came after the list was read", v.Name, v.AllValue)
		}
	}
	for _, name := range shared {
		if !seen[name] {
			complain("no variable %s", name)
		}
	}
	if _, err := d.Queries(); err != nil {
		complain("%v", err)
	}
}

func checkDatasource(d *Dashboard, complain func(string, ...any)) {
	chosen := map[string]string{}
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			chosen["${"+v.Name+"}"] = v.Text()
		}
	}
	check := func(where string, s Datasource) {
		if s.Type == "" || chosen[s.UID] != s.Type {
			complain("%s has the data source %s %q; want that of a variable", where, s.Type, s.UID)
		}
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		check(p.Title, p.Datasource)
		for _, t := range p.Targets {
			check(p.Title+" "+t.RefID, t.Datasource)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			check("variable "+v.Name, v.Datasource)
		}
	}
	for _, a := range d.Annotations.List {
		check("annotation "+a.Name, a.Datasource)
	}
}

func checkLinks(d *Dashboard, complain func(string, ...any)) {
	for _, p := range d.Panels {
		links, err := p.links()
		if err != nil {
			complain("%s: %v", p.Title, err)
		}
		titles := map[string]bool{}
		for _, name := range p.titles() {
			titles[name] = true
		}
		for _, l := range links {
			for _, part := range []string{"${datasource:queryparam}", "${reporter:queryparam}", "${__url_time_range}"} {
				if l.Title == "" || !strings.Contains(l.URL, part) {
					complain("%s: link %q to %s; want a title, and %s kept", p.Title, l.Title, l.URL, part)
				}
			}
			for _, field := range fields.FindAllStringSubmatch(l.URL, -1) {
				if !titles[field[1]] {
					complain("%s: link %q takes the column %s, which the table has not", p.Title, l.Title, field[1])
				}
			}
		}
	}
}
