package spool

import (
	"fmt"
	"maps"
	"os"
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

func agent(i int) ota.Agent {
	a := ota.Agent{ID: fmt.Sprintf("agent-%06d", i)}
	if i%3 == 0 {
		a.Version = "1.2.0"
		a.Labels = map[string]string{"zone": fmt.Sprint(i % 7), "rack": ""}
	}
	return a
}
