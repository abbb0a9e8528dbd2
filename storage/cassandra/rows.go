package cassandra

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/tallygate/tallygate/jaegermodel"
)

// Statements, by what they are counted as.
const (
	intoTraces = iota
	intoServices
	intoOperations
	intoServiceIndex
	intoOperationIndex
	intoDurationIndex
	intoTagIndex
	numStatements
)

var tableNames = [numStatements]string{
	"traces", "service_names", "operation_names_v2", "service_name_index", "service_operation_index", "duration_index", "tag_index",
}

var inserts = [numStatements]string{
	`INSERT INTO traces (trace_id, span_id, span_hash, parent_id, operation_name, flags, start_time, duration, tags, logs, refs, process) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	`INSERT INTO service_names (service_name) VALUES (?)`,
	`INSERT INTO operation_names_v2 (service_name, span_kind, operation_name) VALUES (?, ?, ?)`,
	`INSERT INTO service_name_index (service_name, bucket, start_time, trace_id) VALUES (?, ?, ?, ?)`,
	`INSERT INTO service_operation_index (service_name, operation_name, start_time, trace_id) VALUES (?, ?, ?, ?)`,
	`INSERT INTO duration_index (service_name, operation_name, bucket, duration, start_time, trace_id) VALUES (?, ?, ?, ?, ?, ?)`,
	`INSERT INTO tag_index (service_name, tag_key, tag_value, start_time, trace_id, span_id) VALUES (?, ?, ?, ?, ?, ?)`,
}

const (
	serviceBuckets = 10      // of service_name_index; the reader asks for all
	maxTag         = 256     // longer keys and values are not indexed
	maxKeyText     = 1 << 15 // well below the 64 KiB that a partition key may have
	warningPrefix  = "$$span.warning."
)

// rowSink takes the rows of a span. partition is the text of the row's partition
// key.
type rowSink func(into int, partition string, values []any)

// rows are all rows of a span but those of its names.
func (x *indexer) rows(s *jaegermodel.Span, hash uint64, add rowSink) {
	trace := s.TraceID[:]
	tags := keyValuesOf(s.Tags)
	for i, w := range s.Warnings {
		tags = append(tags, keyValue{jaegermodel.StringTag(warningPrefix+strconv.Itoa(i+1), w)})
	}
	add(intoTraces, string(trace), []any{
		trace, int64(s.SpanID), int64(hash), int64(0), s.Operation, int32(s.Flags), s.Start, s.Duration,
		listOf(tags), listOf(logsOf(s)), listOf(refsOf(s)), process{s.Process.Service, keyValuesOf(s.Process.Tags)},
	})
	service, op := s.Process.Service, s.Operation
	if len(service) > maxKeyText || len(op) > maxKeyText {
		x.skipped.Add(1)
		return
	}
	if x.cfg.Services {
		bucket := int(hash % serviceBuckets)
		add(intoServiceIndex, service+"\x00"+strconv.Itoa(bucket), []any{service, bucket, s.Start, trace})
	}
	if x.cfg.Operations {
		add(intoOperationIndex, service+"\x00"+op, []any{service, op, s.Start, trace})
	}
	if x.cfg.Durations {
		hour := time.UnixMicro(s.Start).UTC().Round(time.Hour)
		part := service + "\x00" + strconv.FormatInt(hour.Unix(), 36) + "\x00"
		add(intoDurationIndex, part, []any{service, "", hour, s.Duration, s.Start, trace})
		if op != "" {
			add(intoDurationIndex, part+op, []any{service, op, hour, s.Duration, s.Start, trace})
		}
	}
	x.tagRows(s, func(key, value string) {
		add(intoTagIndex, service+"\x00"+key+"\x00"+value, []any{service, key, value, s.Start, trace, int64(s.SpanID)})
	})
}

// listOf is the list, or nothing: an empty list would leave a tombstone.
func listOf[T any](list []T) any {
	if len(list) == 0 {
		return gocql.UnsetValue
	}
	return list
}

func logsOf(s *jaegermodel.Span) []logEntry {
	out := make([]logEntry, len(s.Logs))
	for i, l := range s.Logs {
		out[i] = logEntry{l.Time, keyValuesOf(l.Fields)}
	}
	return out
}

func refsOf(s *jaegermodel.Span) []spanRef {
	out := make([]spanRef, len(s.Refs))
	for i, r := range s.Refs {
		out[i] = spanRef{r}
	}
	return out
}

// tagRows calls f with each distinct tag that is to be indexed.
func (x *indexer) tagRows(s *jaegermodel.Span, f func(key, value string)) {
	seen := map[string]struct{}{}
	each := func(on bool, tags []jaegermodel.KeyValue) {
		if !on {
			return
		}
		for i := range tags {
			kv := &tags[i]
			if kv.Type == jaegermodel.Binary || !x.wanted(kv.Key) {
				continue
			}
			value := kv.Text()
			if !indexable(kv.Key, value) {
				x.skipped.Add(1)
				continue
			}
			k := kv.Key + "\x00" + value
			if _, dup := seen[k]; !dup {
				seen[k] = struct{}{}
				f(kv.Key, value)
			}
		}
	}
	each(x.cfg.ProcessTags, s.Process.Tags)
	each(x.cfg.Tags, s.Tags)
	for i := range s.Logs {
		each(x.cfg.Logs, s.Logs[i].Fields)
	}
}

func (x *indexer) wanted(key string) bool {
	if _, denied := x.deny[key]; denied {
		return false
	}
	_, allowed := x.allow[key]
	return allowed || len(x.allow) == 0
}

// indexable is Jaeger's rule: nothing long, nothing that is not UTF-8, no JSON
// objects.
func indexable(key, value string) bool {
	return len(key) < maxTag && len(value) < maxTag && utf8.ValidString(key) && utf8.ValidString(value) &&
		!(strings.HasPrefix(value, "{") && json.Valid([]byte(value)))
}
