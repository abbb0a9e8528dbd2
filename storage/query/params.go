package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

const (
	defaultLimit    = 100
	defaultLookback = 48 * time.Hour
	dependencyTime  = 24 * time.Hour
)

// search is what /api/traces asks for: ids, or a query.
type search struct {
	storage.Query
	ids []jaegermodel.TraceID
	raw bool
}

// parseSearch reads the parameters of /api/traces. The texts of errors are
// Jaeger's.
func parseSearch(r *http.Request, now time.Time) (s search, err error) {
	s.Service, s.Operation = r.FormValue("service"), r.FormValue("operation")
	if s.End, err = parseTime(r, "end", time.Microsecond, now); err != nil {
		return s, err
	}
	begin := now.Add(-defaultLookback)
	if back := r.FormValue("lookback"); back != "" {
		// Jaeger's UI sends it beside start, for itself; alone it means what it
		// says. "custom" is the UI's name for neither.
		if d, err := time.ParseDuration(daysToHours(back)); err == nil {
			begin = s.End.Add(-d)
		}
	}
	if s.Start, err = parseTime(r, "start", time.Microsecond, begin); err != nil {
		return s, err
	}
	if s.Tags, err = parseTags(r.Form["tag"], r.Form["tags"]); err != nil {
		return s, err
	}
	s.Limit = defaultLimit
	if v := r.FormValue("limit"); v != "" {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return s, err
		}
		s.Limit = int(n)
	}
	if s.MinDuration, err = parseDuration(r, "minDuration"); err != nil {
		return s, err
	}
	if s.MaxDuration, err = parseDuration(r, "maxDuration"); err != nil {
		return s, err
	}
	for _, list := range r.Form["traceID"] {
		ids, err := parseIDs(list)
		if err != nil {
			return s, fmt.Errorf("cannot parse traceID param: %w", err)
		}
		s.ids = append(s.ids, ids...)
	}
	if s.raw, err = parseBool(r, "raw"); err != nil {
		return s, err
	}
	if len(s.ids) == 0 && s.Service == "" {
		return s, errServiceRequired
	}
	if s.MinDuration != 0 && s.MaxDuration != 0 && s.MaxDuration < s.MinDuration {
		return s, errors.New("'maxDuration' should be greater than 'minDuration'")
	}
	return s, nil
}

var errServiceRequired = errors.New("parameter 'service' is required")

// daysToHours makes "2d", which Jaeger's UI writes, a Go duration.
func daysToHours(s string) string {
	if n, err := strconv.Atoi(strings.TrimSuffix(s, "d")); err == nil && strings.HasSuffix(s, "d") {
		return strconv.Itoa(24*n) + "h"
	}
	return s
}

// parseIDs reads ids with commas between them.
func parseIDs(list string) (ids []jaegermodel.TraceID, err error) {
	for text := range strings.SplitSeq(list, ",") {
		id, err := jaegermodel.ParseTraceID(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func parseTime(r *http.Request, name string, unit time.Duration, otherwise time.Time) (time.Time, error) {
	v := r.FormValue(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return time.Time{}, paramError(name, err)
	}
	return time.Unix(0, 0).Add(time.Duration(n) * unit), nil
}

func parseDuration(r *http.Request, name string) (time.Duration, error) {
	v := r.FormValue(name)
	if v == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, paramError(name, err)
	}
	return d, nil
}

func parseBool(r *http.Request, name string) (bool, error) {
	v := r.FormValue(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, paramError(name, err)
	}
	return b, nil
}

func parseTags(simple, objects []string) (map[string]string, error) {
	tags := map[string]string{}
	for _, tag := range simple {
		key, value, ok := strings.Cut(tag, ":")
		if !ok {
			return nil, fmt.Errorf("malformed 'tag' parameter, expecting key:value, received: %s", tag)
		}
		tags[key] = value
	}
	for _, text := range objects {
		var more map[string]string
		if err := json.Unmarshal([]byte(text), &more); err != nil {
			return nil, fmt.Errorf("malformed 'tags' parameter, cannot unmarshal JSON: %w", err)
		}
		maps.Copy(tags, more)
	}
	return tags, nil
}

// parseDependencies reads the parameters of /api/dependencies, in ms.
func parseDependencies(r *http.Request, now time.Time) (from, to time.Time, err error) {
	if to, err = parseTime(r, "endTs", time.Millisecond, now); err != nil {
		return from, to, err
	}
	back := dependencyTime
	if v := r.FormValue("lookback"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return from, to, paramError("lookback", err)
		}
		back = time.Duration(n) * time.Millisecond
	}
	return to.Add(-back), to, nil
}

func paramError(name string, err error) error {
	return fmt.Errorf("unable to parse param '%s': %w", name, err)
}
