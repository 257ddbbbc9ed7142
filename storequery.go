package ota

import "time"

// PlanQuery selects plans: those to which all fields apply that are set. The zero value selects
// all.
type PlanQuery struct {
	Status        []Status          // any of these
	Hold          []Reason          // any of these
	Coverage      []Coverage        // any of these
	Owners        []string          // any of these
	Labels        map[string]string // all of these, exactly
	Source        string
	Key           string
	Search        string    // part of the name, ASCII letters in any case; or how the ID begins
	Person        bool      // only plans that wait for a person
	After, Before time.Time // created at After or later, and before Before
	Sort          Sort
	Cursor        string // Page.Next of the page before, for the same query; no Offset then
	Offset        int    // how many to leave out
	Limit         int    // at most this many; 0 means DefaultPage
	Total         bool   // set Page.Total
}

// Sort is an order of plans. Plans that are equal in it are in order of their IDs.
type Sort uint8

// The orders of plans.
const (
	SortNewest Sort = iota // by Created, newest first
	SortOldest             // by Created, oldest first
	SortName               // by Name, byte by byte
	SortSince              // by Head.Since, longest first; plans without one come last
)

// RowQuery selects rows of one Kind: those to which all fields apply that are set.
type RowQuery struct {
	Kind     Kind
	From, To int      // numbers from From to below To; To 0 means to the end
	IDs      []string // any of these, at most 1,000; the size of the plan does not matter
	Status   []uint8  // any of these. Those that are rare are found quickly
	Reason   []Reason // any of these
	Prefix   string   // how ID begins
	Label    Label    // rows with this label; an empty Value selects those without it, too
	Cursor   string   // Page.Next of the page before, with the same query
	Limit    int      // at most this many; 0 means DefaultPage
	Total    bool     // set Page.Total
	// Buffer is room of the caller's that a Store may use for Page.Items, instead of new memory:
	// the rows, and the room of their Fixed and State. It need not. What a page holds in it is
	// valid until the caller uses Buffer again.
	Buffer []Row
}

// Label is a name and a value. The zero Label is none.
type Label struct{ Name, Value string }

// LogQuery selects records of one plan: those above After in order, or, with Before, those below
// Before, newest first. The next page begins at the last Revision. Over all plans records are in
// order of At, newest first, then of Plan, then of Revision, highest first; After and Before are
// not looked at.
type LogQuery struct {
	After, Before uint64
	Notable       bool   // only notable records
	Cursor        string // Page.Next of the page before; only over all plans
	Limit         int    // at most this many; 0 means DefaultPage
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	More  bool // further items follow, or may follow: Next continues
	// Next is for Cursor. Only the Store that made it understands it. It is empty when More is
	// false, and in the log of one plan.
	Next string
	// Total is how many items match in all, wherever the page begins, when the query asked for it;
	// -1 when the Store would have to look at more than ScanLimit rows to know.
	Total int
	// Partial says that the Store had no index for the query and stopped after ScanLimit rows.
	// Items may then be short, or empty, although More is true. Only RowQuery.Reason, Prefix, and a
	// Label that PlanRow.Index does not name can do that.
	Partial bool
}

// DefaultPage is the length of a page where a query names none. ScanLimit is how many rows a query
// without an index may look at.
const (
	DefaultPage = 1000
	ScanLimit   = 10_000
)
