package avi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// checkVersion refuses an X-Avi-Version that is no version, or that is newer than the controller, as
// a controller does. The objects are the same for every older version.
func (h *Handler) checkVersion(header http.Header) error {
	values := header.Values("X-Avi-Version")
	if len(values) == 0 || values[0] == "" {
		if h.opt.RequireVersion {
			return refuse(http.StatusBadRequest, "X-Avi-Version is missing; allowed: a version up to %s", h.opt.Version)
		}
		return nil
	}
	asked, ok := parseVersion(values[0])
	if !ok || len(values) > 1 {
		return refuse(http.StatusBadRequest, "X-Avi-Version is %q; allowed: a version such as %s", texts.Shorten(values[0]), h.opt.Version)
	}
	if own, ok := parseVersion(h.opt.Version); ok && newer(asked, own) {
		return refuse(http.StatusBadRequest, "X-Avi-Version %s is newer than the controller; allowed: up to %s", texts.Shorten(values[0]), h.opt.Version)
	}
	return nil
}

// parseVersion reads numbers with dots between them, such as 30.2.1; what follows a dash, as in
// 22.1.3-2p1, does not count.
func parseVersion(s string) ([]int, bool) {
	s, _, _ = strings.Cut(s, "-")
	var v []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || len(v) == 4 {
			return nil, false
		}
		v = append(v, int(n))
	}
	return v, true
}

func newer(a, b []int) bool {
	for i := range max(len(a), len(b)) {
		x, y := 0, 0
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return x > y
		}
	}
	return false
}
