package ota

import (
	"context"
	"iter"
	"time"

	"github.com/seed-19b57ce3/ota/internal/wrap"
)

// Store keeps plans. A plan is a PlanRow, its rows, and its log. What only the library understands
// is bytes. A Store never looks into them; beside them it keeps the few columns that it selects by.
// So a new feature of the library changes no Store. memstore is the reference implementation,
// docs/store.md explains how to write one, and storetest checks it.
//
// All methods are safe for concurrent use. A method that is called after another one has returned
// sees everything that the first one wrote.
//
// # Bytes
//
// A Store keeps every text and every byte slice exactly as it is given, or refuses the write with
// ErrRefused. It keeps texts of 255 bytes of UTF-8 without NUL; the library sends no others. Byte
// slices hold any bytes; empty and nil are the same. A Store has room for at least 16 MiB in each
// of Parts and in LogRow.Data, 1 MiB in each of Fixed and State, and 64 KiB in Show.
//
// Slices and maps given to a Store belong to the caller again when the method returns: a Store
// copies what it keeps. Those of a row that Create reads belong to the caller again when Create
// asks for the next row. What a Store has returned stays as it is: the caller does not change it,
// and a later commit does not either. RowQuery.Buffer is the exception.
//
// # Times
//
// Times are in UTC. A Store keeps at least microseconds; it may cut off what is finer. The zero
// time stays zero.
//
// # Errors
//
// ErrNotFound, ErrExists, ErrConflict, ErrFenced, ErrRefused and *DuplicateError mean that nothing
// was changed. A Store may wrap them. A write that can never succeed, for any reason, is
// ErrRefused: the engine does not repeat it. After any other error of Create or Commit the caller
// does not know whether the change was made; it is not partly made. A method whose context ends
// returns the context's error; its change may still be made a moment later. The engine then reads
// the plan again. If the change arrives in between, the numbers that its next Commit compares
// detect it.
//
// # Optional interfaces
//
// A Store may be a Claimer, Leaser, Notifier, Inbox and Pruner. A wrapper hides those of the Store
// that it wraps, even if it embeds it. Two plans may then upgrade one agent, for example. Give each
// wrapper a method that returns what it wraps:
//
//	func (w counting) Unwrap() ota.Store { return w.Store }
//
// The engine then finds them behind the wrapper, as [As] does, and calls them past it. So a
// wrapper that renames plans must have all five itself. An Unwrap that returns nil hides them on
// purpose. New refuses a struct that has a Store in a field, hides its optional interfaces, and
// has no Unwrap. New logs the interfaces that it found.
type Store interface {
	// Create makes a plan of p, of the rows, and of what first returns. Nothing of the plan is
	// visible before Create has succeeded. Its three numbers and its revision are 1.
	//
	// Rows are those of one or more kinds. Those of a kind come in order of Number, from 0 without
	// a gap. Create reads them to the end, once, and then calls first, once. Of the Commit that
	// first returns, Plan, If and Then are not looked at; its Rows are further new rows; its Names,
	// when not nil, replace those of p. Head, Parts and Log are set. p.Head, p.Numbers, p.Revision
	// and p.Parts are not looked at.
	//
	// An error that rows yields, or first returns, is returned as it is. ErrExists: a plan has the
	// ID, or the Key. A *DuplicateError: two rows of a kind have one ID. A long Create does not
	// delay commits of other plans.
	Create(ctx context.Context, p PlanRow, rows iter.Seq2[Row, error], first func() (Commit, error)) error

	// Commit applies c as a whole or not at all, and returns the new revision of the plan, one
	// higher each time. The change is durable when Commit returns. Its cost depends on c, not on
	// the size of the plan.
	//
	// ErrNotFound: there is no such plan. ErrFenced and ErrConflict: see Numbers.Refuse.
	// ErrRefused: the plan does not have one of the rows, or c has no log record.
	Commit(ctx context.Context, c Commit) (revision uint64, err error)

	// Plan returns one plan, or ErrNotFound. Its cost does not depend on the number of rows.
	Plan(ctx context.Context, id string) (PlanRow, error)

	// Plans returns one page of the plans that q selects, in the order of q.Sort.
	Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error)

	// Rows returns one page of the rows that q selects, in order of Number. ErrNotFound: there is
	// no such plan.
	Rows(ctx context.Context, plan string, q RowQuery) (Page[Row], error)

	// Log returns one page of the records that q selects, without a gap. ErrNotFound: there is no
	// such plan. An empty plan selects the notable records of all plans, newest first, for
	// every q.Notable.
	Log(ctx context.Context, plan string, q LogQuery) (Page[LogRow], error)
}

// PlanRow is a plan as a Store keeps it. ID, Source, Key, Created and Index never change.
type PlanRow struct {
	ID       string    // unique, 1 to 128 characters of A-Z a-z 0-9 . _ ~ -
	Source   string    // ID of the plan that it rolls back; empty otherwise
	Key      string    // request key of its Create; unique when not empty
	Created  time.Time // lists are sorted by it
	Index    []string  // names of the row labels that a Store finds rows by quickly, at most four
	Names    Names
	Head     Head
	Numbers  Numbers
	Revision uint64 // number of the newest log record
	Parts    Parts
}

// Names is what people call a plan. A commit replaces all of it, or nothing.
type Names struct {
	Name   string
	Labels map[string]string // at most 64
}

// Head is what lists select by and show. The core computes it for every commit that may change it.
// A verb computes it from the plan as the verb has read it, which may be a commit of the owner ago.
// A Store shows it to people as it is, with words for the numbers.
type Head struct {
	Status   Status
	Hold     Reason    // what holds the plan, as of its last commit; ReasonNone for nothing
	Since    time.Time // since when; zero when Hold is ReasonNone
	Person   bool      // the plan waits for a person: a verb would let it go on
	Ended    time.Time // when the plan ended, for Prune; zero while it has not ended
	Owner    string    // the engine that drove the plan last; empty before the first one
	Coverage Coverage  // how much of the fleet is at the target
	// Show is a JSON object for people: counts, batch, owner, breach; or empty. The library never
	// reads it.
	Show []byte
}

// Numbers are the three numbers of a plan. Each begins at 1 and rises. In a commit 0 means "not
// compared" and "not changed".
type Numbers struct {
	Epoch    uint64 // rises when an engine takes the plan over
	Control  uint64 // rises with each verb and each new breach
	Progress uint64 // rises with each commit of the engine that drives the plan
}

// Parts are the bytes of a plan. A Commit changes those that are not empty.
type Parts struct {
	Spec     []byte // never changes after Create
	Control  []byte // what people want
	Progress []byte // what happened
}

// Kind is the kind of a plan's row. Each kind has its own numbers and IDs. A Store treats all kinds
// alike, also those that it does not know. Only Claimer looks at one kind. The numbers are stored.
type Kind uint8

// The kinds of rows.
const (
	KindBatch Kind = iota + 1 // Status is a BatchStatus
	// Status is a TaskStatus, plus 8 for an agent that is down; Reason is why its task ended or
	// waits.
	KindAgent
)

// Row is one row of a plan. Create makes it. A Commit replaces Status, Reason, State and Show; the
// rest never changes.
type Row struct {
	Kind   Kind
	Number int               // from 0, without a gap in its Kind
	ID     string            // unique in its Kind, when not empty; an agent's ID
	Batch  int               // number of its batch; of a batch 0
	Labels map[string]string // an agent's; see PlanRow.Index and RowQuery.Label
	Fixed  []byte
	Status uint8 // 0 to 15; its meaning depends on Kind
	Reason Reason
	// State is empty as long as the row is as it was made. Most rows of a large plan are, for most
	// of its life: keep them cheap.
	State []byte
	// Show is as Head.Show. Of an agent it is {"error": …} while it has an error, or empty. Rows
	// need not return the Show of agents.
	Show []byte
}

// Commit is one change of one plan. What is zero, nil or empty is left as it is.
type Commit struct {
	Plan  string
	If    Numbers // those that are not 0 are compared, see Numbers.Refuse
	Then  Numbers // those that are not 0 replace the stored ones
	Names *Names
	Head  *Head
	Parts Parts
	Rows  []Row  // each at most once, in any order; ID, Batch, Labels and Fixed are not looked at
	Log   LogRow // its Data is never empty; the Store numbers it
}

// LogRow is one record of a plan's log.
type LogRow struct {
	Plan     string // set by the Store
	Revision uint64 // set by the Store, from 1 without a gap
	At       time.Time
	Notable  bool // worth showing to people; few records are, so an index of these is small
	Data     []byte
}

// executorCompanions are the optional interfaces of an Executor. A field is nil if the Executor
// does not have it. The fields are the table: an interface without a field is neither looked for
// nor protected from being hidden.
type executorCompanions struct {
	Prechecker Prechecker
	Prober     Prober
	Inspector  Inspector
	Gater      Gater
}

// storeCompanions are the optional interfaces of a Store.
type storeCompanions struct {
	Claimer  Claimer
	Leaser   Leaser
	Notifier Notifier
	Inbox    Inbox
	Pruner   Pruner
}

// companions are those of an Engine, found once, by New.
type companions struct {
	executorCompanions
	storeCompanions
}

// As returns the outermost value that is a T, of v and of what v wraps: where v has a method
// Unwrap() Executor or Unwrap() Store, v wraps the value that it returns, and so on, at most 64
// deep. The engine finds all optional interfaces this way. Wrappers of other interfaces, such as
// simulate.Fleet, work alike. Use it instead of a type assertion on a value that may be wrapped:
//
//	pruner, ok := ota.As[ota.Pruner](store)
func As[T any](v any) (T, bool) { return wrap.As[T](v) }

// Companions returns the names of the optional interfaces that v, an Executor or a Store, has by
// itself or by what it wraps (see As), for example "Claimer". A test of a wrapper compares them
// with those of what is wrapped.
func Companions(v any) []string {
	return wrap.Names(v, &executorCompanions{}, &storeCompanions{})
}

// findCompanions fills table with the companions of outer. It refuses an outer that is nil inside,
// wraps itself, or hides a companion.
func findCompanions[W any](m *mistakes, field string, outer W, table any) {
	wrap.Find(outer, table, func(value, problem, allowed string) { m.add(field, value, problem, allowed) })
}

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
	// Buffer is room of the caller's that a Store may use for Page.Items, instead of new memory. It
	// need not. What a page holds in it is valid until the caller uses Buffer again. A Store never
	// writes into the Fixed and State of a row that it finds there: they may be another Store's.
	Buffer []Row
}

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
