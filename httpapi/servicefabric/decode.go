package servicefabric

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// decoder reads a request's body. Unknown members are skipped, as the real server does; a known one
// in the wrong case is refused, and so is everything that strictjson refuses.
type decoder struct{ *strictjson.Reader }

// fields are the members an object may have. A null counts as absent.
type fields map[string]func() error

// body decodes the request's body, which must be an object.
func (c *call) body(known func(*decoder) fields) error {
	if most := c.h.base.Limits.Body; c.r.ContentLength > most {
		return refuse(codeTooLarge, "The body is longer than %d bytes.", most)
	}
	body := c.h.base.Body(c.w, c.r)
	defer body.Done()
	d := &decoder{c.h.base.JSON(body)}
	if err := d.object(known(d)); err != nil {
		return unreadable(err)
	}
	if err := d.End(); err != nil {
		return unreadable(err)
	}
	return nil
}

func (d *decoder) object(known fields) error {
	return d.Object(func(key string) error {
		read, ok := known[key]
		if !ok {
			for name := range known {
				if strings.EqualFold(name, key) {
					return d.Fail(strictjson.Type, "is in the wrong case: "+name)
				}
			}
			return d.Skip()
		}
		if null, err := d.Null(); null || err != nil {
			return err
		}
		return read()
	})
}

// refuse is the error for the present value.
func (d *decoder) refuse(format string, args ...any) error {
	at := strings.TrimPrefix(d.Pointer(), "/")
	return refuse(codeInvalid, "%s %s.", strings.ReplaceAll(at, "/", "."), fmt.Sprintf(format, args...))
}

// inner is a member that is an object.
func inner[T any](d *decoder, v **T, known func(*T) fields) func() error {
	return func() error {
		if *v == nil {
			*v = new(T)
		}
		return d.object(known(*v))
	}
}

// list is a member that is an array of objects.
func list[T any](d *decoder, v *[]T, known func(*T) fields) func() error {
	return func() error {
		*v = []T{}
		return d.Array(func(int) error {
			var item T
			err := d.object(known(&item))
			*v = append(*v, item)
			return err
		})
	}
}

func (d *decoder) text(v *string) func() error {
	return func() (err error) {
		*v, err = d.String()
		return err
	}
}

func (d *decoder) truth(v **bool) func() error {
	return func() error {
		b, err := d.Bool()
		*v = &b
		return err
	}
}

// word is a member that is one of some words.
func (d *decoder) word(v *string, allowed ...string) func() error {
	return func() (err error) {
		if *v, err = d.String(); err == nil && !slices.Contains(allowed, *v) {
			return d.refuse("is unknown; allowed: %s", strings.Join(allowed, ", "))
		}
		return err
	}
}

// integer is a member that is an integer from 0 to most.
func (d *decoder) integer(v **int64, most int64) func() error {
	return func() error {
		s, err := d.Number()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > most {
			return d.refuse("is not an integer from 0 to %d", most)
		}
		*v = &n
		return nil
	}
}

// span is a length of time as a client wrote it. What is too long to be counted is math.MaxInt64.
type span struct {
	text  string
	value time.Duration
}

// MarshalJSON writes the length as the real server does, however the client wrote it.
func (s span) MarshalJSON() ([]byte, error) {
	if s.value == math.MaxInt64 {
		return []byte(`"` + longestSpan + `"`), nil
	}
	return json.Marshal(spanText(s.value))
}

// longestSpan is the longest time of the real server: no timeout.
const longestSpan = "P10675199DT2H48M5.4775807S"

// UnmarshalJSON reads the text that was kept.
func (s *span) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &s.text); err != nil {
		return err
	}
	s.value, _ = parseSpan(s.text)
	return nil
}

// span is a member that is a length of time: an ISO 8601 duration, or a number of milliseconds.
func (d *decoder) span(v **span) func() error {
	return func() error {
		var s span
		next, err := d.Next()
		if err != nil {
			return err
		}
		if next == '0' {
			s.text, err = d.Number()
		} else {
			s.text, err = d.String()
		}
		if err != nil {
			return err
		}
		var ok bool
		if s.value, ok = parseSpan(s.text); !ok {
			return d.refuse("is neither an ISO 8601 duration, such as PT0H2M0S, nor a number of milliseconds")
		}
		*v = &s
		return nil
	}
}

func parseSpan(s string) (time.Duration, bool) {
	if d, ok := duration.CappedISO(s); ok {
		return d, true
	}
	if strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	ms, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return 0, false
	case ms >= math.MaxInt64/1e6:
		return math.MaxInt64, true
	default:
		return time.Duration(math.Round(ms * 1e6)), true
	}
}

// printSpan writes a length of time as the server does: PT0H2M5.25S, P1DT2H0M0S. It counts in
// milliseconds.
func printSpan(d time.Duration) string { return spanText(d.Truncate(time.Millisecond)) }

// spanText is printSpan in steps of 100 ns, the server's unit.
func spanText(d time.Duration) string {
	d = max(d, 0).Truncate(100 * time.Nanosecond)
	var b strings.Builder
	b.WriteByte('P')
	if days := d / (24 * time.Hour); days > 0 {
		b.WriteString(strconv.FormatInt(int64(days), 10) + "D")
		d %= 24 * time.Hour
	}
	seconds := strconv.FormatFloat((d % time.Minute).Seconds(), 'f', -1, 64)
	fmt.Fprintf(&b, "T%dH%dM%sS", d/time.Hour, d%time.Hour/time.Minute, seconds)
	return b.String()
}
