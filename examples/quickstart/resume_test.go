package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// Killed at any moment and run again, the quickstart continues with the same plans, and all agents
// agree at the end.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "plans.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Empty(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resumes(t, db(t))
		})
	}
}

func resumes(t *testing.T, db string) {
	t.Helper()
	args := []string{"-agents", "12", "-batch", "6", "-db", db, "-dir", filepath.Join(t.TempDir(), "fleet")}
	moments := []int{0, 400, 900, 1500, 1200, 2200, 600, 1700} // the story takes some ten seconds
	if testing.Short() {
		moments = moments[3:6]
	}
	for _, after := range moments {
		q := startQuickstart(t, args...)
		q.awaitLine(t, "A fleet of")
		time.Sleep(time.Duration(after) * time.Millisecond)
		if err := q.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = q.Wait()
		q.noneLeft(t)
		if args[len(args)-1] != "-resume" {
			args = append(args, "-resume")
		}
		if strings.Contains(q.out.String(), "do not agree") {
			t.Fatal(q.out.String())
		}
	}
	q := startQuickstart(t, args...)
	if err := q.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, q.out.String())
	}
	for _, want := range []string{
		"Asked all 12 agents: 1.3.1 on 12; the plan's records say the same of each",
		"rolled_back",
	} {
		if !strings.Contains(q.out.String(), want) {
			t.Errorf("it did not print %q:\n%s", want, q.out.String())
		}
	}
	if n := strings.Count(q.out.String(), "1.2.0 to 1.3."); n < 3 || n > 5 {
		t.Errorf("it lists the plans wrongly:\n%s", q.out.String())
	}
	q.noneLeft(t)

	again := startQuickstart(t, args[:len(args)-1]...)
	if err := again.Wait(); err == nil || !strings.Contains(again.out.String(), "go on with -resume") {
		t.Errorf("without -resume it says: %v\n%s", err, again.out.String())
	}
}

func TestFlagsOfTheDatabase(t *testing.T) {
	for _, args := range [][]string{{"-db", "x.db"}, {"-resume"}, {"-resume", "-dir", "x"}} {
		if _, err := parseFlags(args); err == nil {
			t.Error(fmt.Sprint(args), "is accepted")
		}
	}
	if _, err := parseFlags([]string{"-db", "x.db", "-dir", "y", "-resume"}); err != nil {
		t.Error(err)
	}
}
