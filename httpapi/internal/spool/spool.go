// Package spool keeps a list of agents between the end of a request's body and their way into the
// Store: in memory while it is short, in a temporary file from then on, so that a plan of a million
// agents takes no more memory than a small one.
package spool

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// Memory is how many bytes of a spool are kept in memory.
const Memory = 1 << 20

// Spool is a list that is first written, then read. The zero value is empty and ready to use.
type Spool struct {
	Dir  string // for the temporary file; empty means the system's
	mem  []byte
	file *os.File
	out  *bufio.Writer
	n    int
}

// Len is how many agents were added.
func (s *Spool) Len() int { return s.n }

// Add appends an agent.
func (s *Spool) Add(a ota.Agent) error {
	b := appendText(appendText(appendText(s.room(), a.ID), a.Version), a.Release)
	b = binary.AppendUvarint(b, uint64(len(a.Labels)))
	for k, v := range a.Labels {
		b = appendText(appendText(b, k), v)
	}
	return s.keep(b)
}

// AddID appends an agent of which nothing but the ID is known. It keeps nothing of id.
func (s *Spool) AddID(id []byte) error {
	return s.keep(append(appendText(s.room(), id), 0, 0, 0)) // no version, no release, no labels
}

// room is where the next agent is appended.
func (s *Spool) room() []byte {
	if s.file != nil {
		return s.mem[:0]
	}
	return s.mem
}

// keep takes in what was appended to room.
func (s *Spool) keep(b []byte) error {
	s.n++
	s.mem = b
	if s.file == nil && len(s.mem) < Memory {
		return nil
	}
	return s.spill()
}

// spill writes what is in memory to the file, which it makes first if need be.
func (s *Spool) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.Dir, "ota-*.spool")
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.file, s.out = f, bufio.NewWriterSize(f, 64<<10)
	}
	if _, err := s.out.Write(s.mem); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if cap(s.mem) > 64<<10 {
		s.mem = nil
	}
	return nil
}

// block is how much of a spool is read at a time. The texts of its agents share one piece of
// memory, because a million pieces cost more than all else here; whoever keeps one text keeps a
// block.
const block = 4 << 10

// All yields the agents in the order in which they were added. It may be read more than once, not
// at the same time.
func (s *Spool) All() iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		in, err := s.reader()
		if err != nil {
			yield(ota.Agent{}, err)
			return
		}
		text, room := "", make([]byte, block) // text was read and not yielded
		for range s.n {
			a, rest, ok := cutAgent(text)
			for !ok {
				room = slices.Grow(room[:0], 2*len(text)) // more each time, so that a long agent is not looked at too often
				if text, err = more(in, text, room[:cap(room)]); err != nil {
					yield(ota.Agent{}, fmt.Errorf("spool: %w", err))
					return
				}
				a, rest, ok = cutAgent(text)
			}
			text = rest
			if !yield(a, nil) {
				return
			}
		}
	}
}

// more returns text and what follows it, up to the length of room, which it uses.
func more(in io.Reader, text string, room []byte) (string, error) {
	n := copy(room, text)
	m, err := io.ReadAtLeast(in, room[n:], 1)
	return string(room[:n+m]), err
}

func (s *Spool) reader() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem), nil
	}
	if err := s.out.Flush(); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return bufio.NewReaderSize(s.file, 64<<10), nil
}

// Close removes the temporary file, if there is one.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutAgent takes the first agent off text; ok is false when text does not have all of it.
func cutAgent(text string) (a ota.Agent, rest string, ok bool) {
	if a.ID, rest, ok = cutText(text); !ok {
		return a, text, false
	}
	if a.Version, rest, ok = cutText(rest); !ok {
		return a, text, false
	}
	if a.Release, rest, ok = cutText(rest); !ok {
		return a, text, false
	}
	n, rest, ok := cutNumber(rest)
	if !ok || n == 0 {
		return a, rest, ok
	}
	a.Labels = map[string]string{}
	for range n {
		var k, v string
		if k, rest, ok = cutText(rest); !ok {
			return a, text, false
		}
		if v, rest, ok = cutText(rest); !ok {
			return a, text, false
		}
		a.Labels[k] = v
	}
	return a, rest, true
}

func cutText(text string) (s, rest string, ok bool) {
	n, rest, ok := cutNumber(text)
	if !ok || n > uint64(len(rest)) {
		return "", text, false
	}
	return rest[:n], rest[n:], true
}

// cutNumber is binary.Uvarint of a string.
func cutNumber(text string) (n uint64, rest string, ok bool) {
	for i := range min(len(text), binary.MaxVarintLen64) {
		n |= uint64(text[i]&0x7f) << (7 * i)
		if text[i] < 0x80 {
			return n, text[i+1:], true
		}
	}
	return 0, text, false
}
