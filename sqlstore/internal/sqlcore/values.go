package sqlcore

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// nanos is a time as it is stored: Unix nanoseconds, NULL for none.
func nanos(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

func fromNanos(n *int64) time.Time {
	if n == nil {
		return time.Time{}
	}
	return time.Unix(0, *n).UTC()
}

// logTime is the time of a log record as it is stored: no time is the lowest.
func logTime(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}

func fromLogTime(n int64) time.Time {
	if n == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func asInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Bytes is what is stored for bytes: never NULL.
func Bytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// orNull is NULL for no bytes.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Show is JSON for people as it is stored: NULL for none.
func Show(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

// encodeLabels returns labels as JSON; nil for none.
func encodeLabels(labels map[string]string) (*string, error) {
	if len(labels) == 0 {
		return nil, nil
	}
	if err := keepsMap(labels); err != nil {
		return nil, err
	}
	b, err := json.Marshal(labels)
	text := string(b)
	return &text, err
}

func keepsMap(m map[string]string) error {
	for name, value := range m {
		if err := keeps(name, value); err != nil {
			return err
		}
	}
	return nil
}

func decodeJSON(text []byte, v any) error {
	if len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// headColumns are the columns of ota_plans that have a Head, in the order of headValues and
// headScan.
const headColumns = `status, hold, since, person, ended_at, owner, coverage, show`

func headValues(h *ota.Head) []any {
	return []any{
		int64(h.Status), int64(h.Hold), nanos(h.Since), asInt(h.Person), nanos(h.Ended), h.Owner, int64(h.Coverage), Show(h.Show),
	}
}

// headScan has room for the columns of a Head.
type headScan struct {
	status, hold, person, coverage int64
	since, ended                   *int64
	owner                          string
	show                           []byte
}

func (r *headScan) dest() []any {
	return []any{&r.status, &r.hold, &r.since, &r.person, &r.ended, &r.owner, &r.coverage, &r.show}
}

func (r *headScan) head() ota.Head {
	return ota.Head{
		Status: ota.Status(r.status), Hold: ota.Reason(r.hold), Since: fromNanos(r.since), Person: r.person != 0,
		Ended: fromNanos(r.ended), Owner: r.owner, Coverage: ota.Coverage(r.coverage), Show: r.show,
	}
}
