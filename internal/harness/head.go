package harness

import (
	"time"

	"github.com/seed-19b57ce3/ota"
)

// judgeHead compares the Head of a commit with the two halves of the plan after it.
func judgeHead(k ota.Commit, is *Snapshot, wrong wrongFunc) {
	h, row := k.Head, &is.row
	if h == nil {
		wrong("has no Head")
		return
	}
	held := !h.Since.IsZero()
	switch {
	case row.Head.Status != h.Status:
		wrong("its Head is %s, the stored one %s", h.Status, row.Head.Status)
	case k.If.Epoch != 0 && h.Owner != row.Progress.Owner, !h.Ended.Equal(endOf(h.Status, row)):
		wrong("its Head is of %q, ended at %s", h.Owner, h.Ended)
	case held != (h.Hold != ota.ReasonNone), held && h.Status.Ended(), !held && h.Person:
		wrong("its Head holds for %s since %s, person %t", h.Hold, h.Since, h.Person)
	case !held && (h.Status == ota.StatusPending || h.Status == ota.StatusPaused || h.Status == ota.StatusCanceling):
		wrong("its Head says that nothing holds it, and it is %s", h.Status)
	case h.Status == ota.StatusPaused && row.Control.Rollback == nil && !h.Person:
		wrong("its Head says that a paused plan needs no person")
	}
}

// endOf is when a plan ended, by its halves.
func endOf(st ota.Status, row *planView) time.Time {
	switch c, p := &row.Control, &row.Progress; {
	case !st.Ended():
		return time.Time{}
	case st == ota.StatusRolledBack:
		return c.Rollback.Done
	case p.EndedAt.IsZero():
		return c.Cancel.At
	default:
		return p.EndedAt
	}
}
