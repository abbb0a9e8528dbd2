package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/policy"
)

// recordPath is where recordings are asked for.
const recordPath = "/api/v1/record"

// serveRecording answers with live decisions as JSON lines, of which the last is
// a policy.RecordSummary. It needs the token like everything that shows requests.
func serveRecording(d *policy.Decider) admin.Route {
	return admin.Route{Pattern: "GET " + recordPath, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		opts, err := recordOptions(r.URL.Query())
		if err == nil {
			err = opts.Validate()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out := http.NewResponseController(w)
		_ = out.SetWriteDeadline(time.Time{}) // it is bounded by opts
		w.Header().Set("Content-Type", "application/x-ndjson")
		write := func(line []byte) error {
			if _, err := w.Write(line); err != nil {
				return err
			}
			return out.Flush()
		}
		s, err := d.Record(r.Context(), opts, write)
		switch {
		case errors.Is(err, policy.ErrRecording):
			http.Error(w, err.Error(), http.StatusConflict)
		case err == nil:
			b, _ := json.Marshal(s) // of numbers and a word
			_ = write(append(b, '\n'))
		}
	})}
}

// recordQuery and recordOptions are each other's reverse.
func recordQuery(o *policy.RecordOptions) string {
	q := url.Values{
		"for": {o.For.String()}, "count": {strconv.Itoa(o.Count)}, "share": {strconv.FormatFloat(o.Share, 'g', -1, 64)},
		"max_per_second": {strconv.Itoa(o.MaxPerSecond)}, "entrypoint": {o.Entrypoint}, "verdict": {o.Verdict}, "rule": {o.Rule},
		"mask_header": o.MaskHeaders, "mask": o.Mask,
	}
	return recordPath + "?" + q.Encode()
}

func recordOptions(q url.Values) (policy.RecordOptions, error) {
	o := policy.RecordOptions{
		Entrypoint: q.Get("entrypoint"), Verdict: q.Get("verdict"), Rule: q.Get("rule"),
		MaskHeaders: q["mask_header"], Mask: q["mask"],
	}
	var errs []error
	parse := func(name string, read func(string) error) {
		if err := read(q.Get(name)); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	parse("for", func(s string) (err error) { o.For, err = time.ParseDuration(s); return })
	parse("count", func(s string) (err error) { o.Count, err = strconv.Atoi(s); return })
	parse("share", func(s string) (err error) { o.Share, err = strconv.ParseFloat(s, 64); return })
	parse("max_per_second", func(s string) (err error) { o.MaxPerSecond, err = strconv.Atoi(s); return })
	return o, errors.Join(errs...)
}
