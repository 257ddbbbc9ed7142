// Package spool keeps a list of agents between the end of a request's body and their way into the Store: in memory while
// it is short, in a temporary file from then on, so that a plan of a million agents takes no more memory than a small one.
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
	b := appendText(appendText(s.room(), a.ID), a.Version)
	b = binary.AppendUvarint(b, uint64(len(a.Labels)))
	for k, v := range a.Labels {
		b = appendText(appendText(b, k), v)
	}
	return s.keep(b)
}

// AddID appends an agent of which nothing but the ID is known. It keeps nothing of id.
func (s *Spool) AddID(id []byte) error {
	return s.keep(append(appendText(s.room(), id), 0, 0)) // no version, no labels
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

// All yields the agents in the order in which they were added. It may be read more than once, not at the same time.
func (s *Spool) All() iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		in, err := s.reader()
		if err != nil {
			yield(ota.Agent{}, err)
			return
		}
		for range s.n {
			a, err := readAgent(in)
			if err != nil {
				yield(ota.Agent{}, fmt.Errorf("spool: %w", err))
				return
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (s *Spool) reader() (*bufio.Reader, error) {
	if s.file == nil {
		return bufio.NewReader(bytes.NewReader(s.mem)), nil
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

func readAgent(in *bufio.Reader) (ota.Agent, error) {
	var a ota.Agent
	var err error
	if a.ID, err = readText(in); err != nil {
		return a, err
	}
	if a.Version, err = readText(in); err != nil {
		return a, err
	}
	n, err := binary.ReadUvarint(in)
	if err != nil || n == 0 {
		return a, err
	}
	a.Labels = make(map[string]string, n)
	for range n {
		k, err := readText(in)
		if err != nil {
			return a, err
		}
		if a.Labels[k], err = readText(in); err != nil {
			return a, err
		}
	}
	return a, nil
}

func readText(in *bufio.Reader) (string, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil || n == 0 {
		return "", err
	}
	if n > uint64(in.Size()) {
		b := make([]byte, n)
		_, err = io.ReadFull(in, b)
		return string(b), err
	}
	b, err := in.Peek(int(n))
	s := string(b)
	_, _ = in.Discard(len(b)) // they are in the buffer
	return s, err
}
