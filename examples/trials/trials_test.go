package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestItPrintsAndDraws(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.svg")
	var out bytes.Buffer
	args := []string{"-agents", "40", "-runs", "30", "-concurrency", "10", "-b-concurrency", "2", "-b-retries", "1", "-svg", file}
	if err := run(context.Background(), args, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A: batches of 10, concurrency 10, threshold 0.1\n", "B: batches of 10, concurrency 2, threshold 0.1, 1 retries\n", "% of runs", "failed agents  mean"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	picture, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	bars := 0
	for d := xml.NewDecoder(picture); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars < 10 {
		t.Errorf("got %d rectangles, want some bars", bars)
	}
}

func TestItRefuses(t *testing.T) {
	for _, args := range [][]string{{"-fails", "2"}, {"-agents", "0"}, {"extra"}, {"-none"}} {
		if err := run(context.Background(), args, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
