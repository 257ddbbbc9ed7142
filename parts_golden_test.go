package ota

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var writeParts = flag.Bool("parts", false, "write the files of testdata/parts that are missing")

// goldenParts are the values whose bytes are in testdata/parts/1. A file is never changed once it
// is released: a plan that was stored then has to be read for ever. What a new field needs is a new
// case, in the folder of its schema.
func goldenParts() map[string][]byte {
	all := map[string][]byte{}
	p, r, k := busyProgress(), busyBatch(), busyControl()
	all["progress-busy"], all["batch-busy"], all["control-busy"] = p.appendPart(nil), r.appendPart(nil), k.appendPart(nil)
	for kind, zero := range codedParts {
		all[partNames[kind]+"-full"] = filled(zero(), rand.New(rand.NewPCG(9, uint64(kind))), true).appendPart(nil)
		if kind != partAgent {
			all[partNames[kind]+"-zero"] = zero().appendPart(nil)
		}
	}
	for _, c := range codecCases {
		all["state-"+strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-")], _ = c.state.AppendBinary(nil)
	}
	return all
}

// The bytes of every released schema are read as what they were written from, and written as they
// are.
func TestGoldenParts(t *testing.T) {
	if *writeParts {
		writeGoldenParts(t)
	}
	files, err := filepath.Glob("testdata/parts/*/*.hex")
	if err != nil || len(files) < len(goldenParts()) {
		t.Fatalf("%d files, want at least %d (%v)", len(files), len(goldenParts()), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".hex"), func(t *testing.T) {
			part, err := hex.DecodeString(strings.Join(strings.Fields(readDoc(t, file)), ""))
			if err != nil {
				t.Fatal(err)
			}
			said, err := describe(part)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimSpace(readDoc(t, strings.TrimSuffix(file, "hex")+"json")); string(said) != want {
				t.Errorf("read as\n%s\nwant\n%s", said, want)
			}
			if got := encodedAgain(t, part); !bytes.Equal(got, part) {
				t.Errorf("written as\n%x\nwant\n%x", got, part)
			}
			if schema := filepath.Base(filepath.Dir(file)); schema != fmt.Sprint(part[0]) {
				t.Errorf("the file of schema %s has schema %d", schema, part[0])
			}
		})
	}
}

func encodedAgain(t *testing.T, part []byte) []byte {
	t.Helper()
	if zero := codedParts[part[1]]; zero != nil {
		v := zero()
		if err := v.decodePart(part); err != nil {
			t.Fatal(err)
		}
		return v.appendPart(nil)
	}
	var s AgentState
	if err := s.UnmarshalBinary(part); err != nil {
		t.Fatal(err)
	}
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeGoldenParts(t *testing.T) {
	t.Helper()
	for name, part := range goldenParts() {
		file := fmt.Sprintf("testdata/parts/%d/%s.", part[0], name)
		if _, err := os.Stat(file + "hex"); err == nil {
			continue
		}
		said, err := describe(part)
		if err != nil {
			t.Fatal(err)
		}
		for ext, text := range map[string]string{"hex": hex.EncodeToString(part), "json": string(said)} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file+ext, []byte(text+"\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
