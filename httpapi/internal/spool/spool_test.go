package spool

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
)

func TestSpool(t *testing.T) {
	for _, n := range []int{0, 1, 10, 200_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir := t.TempDir()
			s := &Spool{Dir: dir}
			for i := range n {
				if err := s.Add(agent(i)); err != nil {
					t.Fatal(err)
				}
			}
			files, _ := os.ReadDir(dir)
			if spilled := len(files) == 1; spilled != (n > 100_000) {
				t.Errorf("%d files for %d agents", len(files), n)
			}
			for range 2 {
				i := 0
				for a, err := range s.All() {
					if want := agent(i); err != nil || a.ID != want.ID || a.Version != want.Version || !maps.Equal(a.Labels, want.Labels) {
						t.Fatalf("agent %d: got %v, %v", i, a, err)
					}
					i++
				}
				if i != n || s.Len() != n {
					t.Fatalf("got %d of %d", i, n)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if files, _ = os.ReadDir(dir); len(files) != 0 {
				t.Errorf("left %v behind", files)
			}
		})
	}
}

// An agent that is longer than what is read at a time comes back whole, and so do those around it.
func TestLongAgents(t *testing.T) {
	for _, spilled := range []bool{false, true} {
		s := &Spool{Dir: t.TempDir()}
		var want []ota.Agent
		add := func(a ota.Agent) {
			t.Helper()
			want = append(want, a)
			if err := s.Add(a); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []int{1, block - 3, block - 2, block, 127, 128, 10 * block, 0, 3} {
			add(ota.Agent{ID: strings.Repeat("i", n), Version: strings.Repeat("v", n/2)})
			add(ota.Agent{ID: "short"})
			add(ota.Agent{Labels: map[string]string{strings.Repeat("k", n): strings.Repeat("l", 2*n), "": "x"}})
			if spilled {
				add(ota.Agent{ID: strings.Repeat("j", Memory)})
			}
		}
		i := 0
		for a, err := range s.All() {
			if err != nil || a.ID != want[i].ID || a.Version != want[i].Version || !maps.Equal(a.Labels, want[i].Labels) {
				t.Fatalf("agent %d is another: %v", i, err)
			}
			i++
		}
		if i != len(want) || (s.file != nil) != spilled {
			t.Errorf("%d of %d, a file: %v", i, len(want), s.file != nil)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// AddID is Add of an agent of which only the ID is known.
func TestAddID(t *testing.T) {
	var one, other Spool
	for _, id := range []string{"a", "", strings.Repeat("x", 300)} {
		if err := errors.Join(one.Add(ota.Agent{ID: id}), other.AddID([]byte(id))); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.mem, other.mem) || one.n != other.n {
		t.Errorf("%q is not %q", other.mem, one.mem)
	}
}

// A file that ends too early is an error, not the end of the list.
func TestCutFile(t *testing.T) {
	s := &Spool{Dir: t.TempDir()}
	defer s.Close()
	for range 3 {
		if err := s.Add(ota.Agent{ID: strings.Repeat("x", Memory)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.out.Flush(), s.file.Truncate(2*Memory+100)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.All() {
		if n++; (err != nil) != (n == 3) {
			t.Fatal(n, err)
		}
	}
	if n != 3 {
		t.Error(n)
	}
}

func agent(i int) ota.Agent {
	a := ota.Agent{ID: fmt.Sprintf("agent-%06d", i)}
	if i%3 == 0 {
		a.Version = "1.2.0"
		a.Labels = map[string]string{"zone": fmt.Sprint(i % 7), "rack": ""}
	}
	return a
}
