package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// ErrFileLost matches the error of each call after the file of a Store was deleted, truncated or
// replaced, or its write-ahead log was deleted. SQLite itself would go on with the old file. Open
// the file again, in a new process, after you know what happened to it.
var ErrFileLost = errors.New("the database file is not what it was when it was opened")

// file is the database file as it was when the Store opened it. It never opens the file: closing it
// would end the locks that SQLite has on it.
type file struct {
	path   string
	opened os.FileInfo
	wal    bool // it has a write-ahead log

	mu   sync.Mutex
	size int64 // at the last look
	lost error // for good
}

// open remembers the file at path.
func (f *file) open(path string, wal bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	os.SameFile(info, info) // Windows reads the identity now, not when it is compared
	f.path, f.opened, f.wal, f.size = path, info, wal, info.Size()
	return nil
}

// gone returns the error of an earlier look that found the file lost.
func (f *file) gone() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// verify returns err, what work on conn came to, unless the file is lost.
func (d *database) verify(ctx context.Context, conn *sql.Conn, err error) error {
	ctx = context.WithoutCancel(ctx)
	lost := d.file.look(err == nil, func() bool { return d.file.short(ctx, conn) })
	if lost != nil {
		return lost
	}
	return err
}

// look compares the file with the one that was opened. written says that a connection is open, and
// has just written. short reports whether pages of a file that became smaller are missing.
func (f *file) look(written bool, short func() bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost != nil || f.opened == nil {
		return f.lost
	}
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.lose("it was deleted, or moved away")
	case err != nil:
		return fmt.Errorf("look at the database file: %w", err)
	case !os.SameFile(f.opened, info):
		return f.lose("another file took its place")
	case info.Size() < f.size && (info.Size() == 0 || short()):
		return f.lose("it was truncated")
	}
	f.size = info.Size()
	if f.wal && written {
		if _, err := os.Stat(f.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
			return f.lose("its write-ahead log was deleted")
		}
	}
	return nil
}

func (f *file) lose(why string) error {
	f.lost = fmt.Errorf("%w: %q: %s; nothing more is read or written", ErrFileLost, f.path, why)
	return f.lost
}

// short reports whether the file is too short for the pages that it must have. VACUUM also makes a
// file smaller; then no page is missing.
func (f *file) short(ctx context.Context, conn *sql.Conn) bool {
	for range 3 { // another process may write between the questions
		if !f.shortNow(ctx, conn) {
			return false
		}
	}
	return true
}

// shortNow looks for a page that is neither in the file, nor in the part of the write-ahead log
// that was not copied to the file yet.
func (f *file) shortNow(ctx context.Context, conn *sql.Conn) bool {
	var pages, pageSize, busy, log, copied int64
	err := conn.QueryRowContext(ctx, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`).Scan(&pages, &pageSize)
	if err == nil && f.wal {
		err = conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &log, &copied)
	}
	if err != nil {
		return !isBusy(err) // it cannot be read, and became smaller
	}
	logged, err := f.logged(copied, log, pageSize)
	if err != nil {
		return true
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return true
	}
	for page := info.Size()/pageSize + 1; page <= pages; page++ {
		if !logged[page] {
			return true
		}
	}
	return false
}

// logged returns the pages of some frames of the write-ahead log. Unlike the database file, it may
// be opened and closed: SQLite has no lock on it.
func (f *file) logged(from, to, pageSize int64) (map[int64]bool, error) {
	pages := map[int64]bool{}
	if from >= to {
		return pages, nil
	}
	log, err := os.Open(f.path + "-wal")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	const header, frameHeader = 32, 24
	var number [4]byte
	for i := from; i < to; i++ {
		if _, err := log.ReadAt(number[:], header+i*(frameHeader+pageSize)); err != nil {
			return nil, err
		}
		pages[int64(binary.BigEndian.Uint32(number[:]))] = true
	}
	return pages, nil
}
