package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// ifMatch returns the Control number that a verb has to find, or 0 when any will do.
func (c *call) ifMatch(present uint64) (uint64, error) {
	lines := c.r.Header.Values("If-Match")
	if len(lines) == 0 {
		if c.h.opt.RequireIfMatch {
			return 0, newProblem("precondition_required", "say which state of the plan this is about: If-Match with its ETag, or *")
		}
		return 0, nil
	}
	for tag := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		switch tag = strings.TrimSpace(tag); {
		case tag == "*":
			return 0, nil
		case quoted(tag) == protocol.ETag(present):
			return present, nil
		case !entityTag.MatchString(quoted(tag)):
			return 0, newProblem("malformed", "", wire.Mistake{
				Pointer: "If-Match", Problem: "is no entity tag", Value: texts.Shorten(tag), Allowed: `the ETag of the plan, such as "2" with its quotes, or *`,
			})
		}
	}
	return 0, newProblem("precondition_failed", "the plan's ETag is "+protocol.ETag(present))
}

var (
	entityTag = regexp.MustCompile(`^(W/)?"[^"\x00-\x20\x7f]*"$`)
	bareTag   = regexp.MustCompile(`^[0-9]+$`)
)

// quoted is a tag with its quotes. A shell takes them off a number.
func quoted(tag string) string {
	if bareTag.MatchString(tag) {
		return `"` + tag + `"`
	}
	return tag
}

// olderMatch returns the Control number in the first tag of If-Match, or 0 when it has none.
func (c *call) olderMatch() uint64 {
	tag, _, _ := strings.Cut(c.r.Header.Get("If-Match"), ",")
	tag = quoted(strings.TrimSpace(tag))
	control, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	if err != nil || protocol.ETag(control) != tag {
		return 0
	}
	return control
}

// maxKey bounds an Idempotency-Key.
const maxKey = 128

// idempotencyKey returns the header's value without its quotes, or "".
func (c *call) idempotencyKey() (string, error) {
	values := c.r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if n := len(key); n > 1 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	if len(values) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return "", newProblem("malformed", "", wire.Mistake{
			Pointer: "Idempotency-Key", Problem: "is no key", Value: texts.Shorten(key), Allowed: "once, 1 to 128 visible ASCII characters",
		})
	}
	return key, nil
}

// requestKey is the Idempotency-Key as the Engine gets it: apart from those of other principals and
// operations.
func (c *call) requestKey() (string, error) {
	key, err := c.idempotencyKey()
	if key == "" || err != nil {
		return "", err
	}
	if c.r.Method != http.MethodPost {
		return "", nil
	}
	sum := sha256.Sum256([]byte(c.who.Name + "\x00" + key))
	return "http-" + hex.EncodeToString(sum[:]), nil
}
