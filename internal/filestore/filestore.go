// Package filestore is a whole Store in one folder, as an example for authors of Stores. Each plan
// is a file of JSON lines: the first is the plan with its rows, each further one a commit. A line
// counts when it ends with a newline.
//
// What it lacks: only one process may open a folder, and nothing enforces that. All plans are in
// memory. A file is never shortened. It has no companions, so engines that share it need a Store of
// their own for leases and claims.
package filestore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

// Store is an open folder.
type Store struct {
	dir   *os.Root
	mu    sync.RWMutex
	plans map[string]*plan // by ID
}

type plan struct {
	*ota.Image
	file *os.File
	size int64 // of the file, up to the end of the last line that counts
}

// Open reads every plan of the folder, which exists.
func Open(dir string) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	s := &Store{dir: root, plans: map[string]*plan{}}
	drafts, err := fs.Glob(root.FS(), "new-*") // of a Create that did not end
	for _, name := range drafts {
		err = errors.Join(err, root.Remove(name))
	}
	files, globErr := fs.Glob(root.FS(), "*.plan")
	err = errors.Join(err, globErr)
	for i := 0; i < len(files) && err == nil; i++ {
		var p *plan
		if p, err = read(root, files[i]); err == nil {
			s.plans[p.Plan.ID] = p
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("filestore: open: %w", err), s.Close())
	}
	return s, nil
}

// Close closes the files. No other method may be at work or called later.
func (s *Store) Close() (err error) {
	for _, p := range s.plans {
		if closing := p.file.Close(); !errors.Is(closing, os.ErrClosed) {
			err = errors.Join(err, closing)
		}
	}
	return errors.Join(err, s.dir.Close())
}

// read plays a plan's file. A last line without its end was never acknowledged, and is cut off.
func read(dir *os.Root, name string) (*plan, error) {
	text, err := dir.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	for line := range bytes.Lines(text) {
		if line[len(line)-1] != '\n' {
			break
		}
		p.size += int64(len(line))
		if p.Image == nil {
			err = json.Unmarshal(line, &p.Image)
		} else {
			var c ota.Commit
			if err = json.Unmarshal(line, &c); err == nil {
				err = p.Refuse(&c)
			}
			if err == nil {
				p.Apply(&c)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s, at byte %d: %w", filepath.Join(dir.Name(), name), p.size, err)
		}
	}
	if p.Image == nil {
		return nil, fmt.Errorf("%s has no whole line", filepath.Join(dir.Name(), name))
	}
	if p.file, err = dir.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0); err == nil {
		err = p.file.Truncate(p.size)
	}
	return p, err
}

// replaced is how encoding/json writes bytes that are not UTF-8: an odd number of backslashes.
var replaced = regexp.MustCompile(`[^\\](\\\\)*\\ufffd`)

// write makes v the last line of the file, durably. After an error the line may be there or not:
// the file is closed, the plan takes no further commit, and Open finds out.
func (p *plan) write(v any) error {
	line, err := json.Marshal(v)
	if err == nil && replaced.Match(line) {
		err = fmt.Errorf("%w: a text is not UTF-8", ota.ErrRefused)
	}
	if err != nil {
		return err
	}
	n, err := p.file.Write(append(line, '\n'))
	if err == nil {
		err = p.file.Sync()
	}
	if err != nil {
		return errors.Join(err, p.file.Close())
	}
	p.size += int64(n)
	return nil
}

// Create implements ota.Store. The file gets its name when it is whole, and the name is durable.
func (s *Store) Create(ctx context.Context, k ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	image, err := ota.NewImage(ctx, k, rows, first)
	if err != nil {
		return err
	}
	p := &plan{Image: image}
	draft := "new-" + rand.Text()
	if p.file, err = s.dir.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if err = p.write(image); err == nil {
		err = s.publish(ctx, p, draft)
	}
	if err != nil {
		_ = p.file.Close() // it may be closed
		return errors.Join(err, s.dir.Remove(draft))
	}
	return syncDir(s.dir)
}

// publish makes the plan visible, unless another one has its ID or its key.
func (s *Store) publish(ctx context.Context, p *plan, draft string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.plans {
		if other.Plan.ID == p.Plan.ID || other.Plan.Key == p.Plan.Key && p.Plan.Key != "" {
			return fmt.Errorf("%w: plan %s", ota.ErrExists, other.Plan.ID)
		}
	}
	hash := sha256.Sum256([]byte(p.Plan.ID)) // an ID may be longer than a name of a file
	err := ctx.Err()
	if err == nil {
		err = s.dir.Rename(draft, hex.EncodeToString(hash[:])+".plan")
	}
	if err == nil {
		s.plans[p.Plan.ID] = p
	}
	return err
}

// syncDir makes the names in a folder durable.
func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) find(ctx context.Context, id string) (*plan, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p := s.plans[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: plan %s", ota.ErrNotFound, id)
}

// Commit implements ota.Store.
func (s *Store) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(ctx, c.Plan)
	if err == nil {
		err = p.Refuse(&c)
	}
	if err == nil {
		err = p.write(&c)
	}
	if err != nil {
		return 0, err
	}
	p.Apply(&c)
	return p.Plan.Revision, nil
}

// Plan implements ota.Store.
func (s *Store) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, err := s.find(ctx, id)
	if err != nil {
		return ota.PlanRow{}, err
	}
	return p.Plan, nil
}

// Plans implements ota.Store.
func (s *Store) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*ota.PlanRow, 0, len(s.plans))
	for _, p := range s.plans {
		all = append(all, &p.Plan)
	}
	if err := ctx.Err(); err != nil {
		return ota.Page[ota.PlanRow]{}, err
	}
	return q.Page(all)
}

// Rows implements ota.Store.
func (s *Store) Rows(ctx context.Context, id string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, err := s.find(ctx, id)
	if err != nil {
		return ota.Page[ota.Row]{}, err
	}
	return q.Page(p.Image.Rows[q.Kind])
}

// Log implements ota.Store.
func (s *Store) Log(ctx context.Context, id string, q ota.LogQuery) (ota.Page[ota.LogRow], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if id == "" {
		if err := ctx.Err(); err != nil {
			return ota.Page[ota.LogRow]{}, err
		}
		var all []ota.LogRow
		for _, p := range s.plans {
			all = slices.Concat(all, p.Image.Log)
		}
		return q.Page(all, true)
	}
	p, err := s.find(ctx, id)
	if err != nil {
		return ota.Page[ota.LogRow]{}, err
	}
	return q.Page(p.Image.Log, false)
}
