package policy

import (
	"encoding/json"
	"strconv"
	"time"
)

// Record is what the decision log says of one decision.
type Record struct {
	Time       time.Time `json:"time"`
	ID         string    `json:"decision_id,omitempty"` // empty if it failed
	Entrypoint string    `json:"entrypoint"`
	Listener   string    `json:"listener"`
	Revision   string    `json:"revision"`
	Verdict    string    `json:"verdict"` // allow, deny, error
	Rule       string    `json:"rule,omitempty"`
	Reason     string    `json:"reason,omitempty"` // of a denial, or of the failure
	// Quota is the one that refused, ShadowQuota one in shadow that would have.
	Quota       string          `json:"quota,omitempty"`
	ShadowQuota string          `json:"shadow_quota,omitempty"`
	Hit         bool            `json:"cache_hit"`
	Micros      float64         `json:"duration_us"`
	TraceID     string          `json:"trace_id,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"` // without what is masked
	// InputOmitted says why there is no input although it was wanted.
	InputOmitted string `json:"input_omitted,omitempty"`
}

// appendLine writes r as encoding/json would, and a newline.
func (r *Record) appendLine(b []byte) []byte {
	text := func(key, v string) {
		b = append(b, key...)
		b = appendJSONString(b, v)
	}
	optional := func(key, v string) {
		if v != "" {
			text(key, v)
		}
	}
	b = append(b, `{"time":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	optional(`,"decision_id":`, r.ID)
	text(`,"entrypoint":`, r.Entrypoint)
	text(`,"listener":`, r.Listener)
	text(`,"revision":`, r.Revision)
	text(`,"verdict":`, r.Verdict)
	optional(`,"rule":`, r.Rule)
	optional(`,"reason":`, r.Reason)
	optional(`,"quota":`, r.Quota)
	optional(`,"shadow_quota":`, r.ShadowQuota)
	b = strconv.AppendBool(append(b, `,"cache_hit":`...), r.Hit)
	b = strconv.AppendFloat(append(b, `,"duration_us":`...), r.Micros, 'f', -1, 64)
	optional(`,"trace_id":`, r.TraceID)
	if len(r.Input) > 0 {
		b = append(b, `,"input":`...)
		b = append(b, r.Input...)
	}
	optional(`,"input_omitted":`, r.InputOmitted)
	return append(b, '}', '\n')
}
