# METADATA
# title: Paths and methods
# description: |
#   Templates such as /users/{id}/orders, over the segments of the path. Of the
#   request only parsed_path is read, which has no query.
package tallygate.path

# matches holds if the segments of a path, as input.parsed_path has them, are
# those of the template: {name} and * stand for one segment that is not empty, and
# a last ** or {name=**} for all that are left, if any.
matches(template, segments) if params(template, segments)

# params gives what the names of the template stand for; undefined if it does not
# match.
params(template, segments) := found if {
	want := parts(template)
	fits(want, segments)
	found := {key: value |
		some i, w in want
		startswith(w, "{")
		key := trim_suffix(trim(w, "{}"), "=**")
		value := bound(w, i, segments)
	}
	every i, w in want { agrees(w, segments, i) }
}

parts(template) := split(trim_prefix(template, "/"), "/")

fits(want, segments) if {
	not open(want[count(want) - 1])
	count(want) == count(segments)
}

fits(want, segments) if {
	open(want[count(want) - 1])
	count(segments) >= count(want) - 1
}

# open holds for the last part of a template that takes what is left.
open(part) if part == "**"

open(part) if endswith(part, "=**}")

agrees(part, _, _) if open(part)

agrees(part, segments, i) if {
	not open(part)
	variable(part)
	segments[i] != ""
}

agrees(part, segments, i) if {
	not variable(part)
	segments[i] == part
}

variable(part) if part in {"*", "**"}

variable(part) if startswith(part, "{")

bound(part, i, segments) := segments[i] if not open(part)

bound(part, i, segments) := concat("/", array.slice(segments, i, count(segments))) if open(part)

# template gives the first of templates that the segments match.
template(templates, segments) := [t | some t in templates; matches(t, segments)][0]

# under holds if the path begins with the segments of the prefix: /admin has
# /admin and /admin/x, not /administrator.
under(prefix, segments) if {
	want := [s | some s in parts(prefix); s != ""]
	array.slice(segments, 0, count(want)) == want
}

# clean holds if the path means the same to everybody: no empty, . or ..
# segments, and no slash or backslash that was escaped. Envoy passes these on
# unless it normalises paths.
clean if {
	path := split(input.attributes.request.http.path, "?")[0]
	not regex.match(`(?i)//|/\.{1,2}(/|$)|%2f|%5c|\\|%2e`, path)
}

# safe holds for methods that change nothing.
safe(method) if method in {"GET", "HEAD", "OPTIONS"}
