package ota

import (
	"strconv"
	"strings"
)

// A version is a text that the engine only compares. Spaces and line ends around a version are
// dropped wherever it enters: tools print them, and people paste them.

// trimVersion drops spaces and line ends around a version.
func trimVersion(s string) string { return strings.TrimSpace(s) }

// cleanVersion makes a version of a text that user code returns. A version of spaces alone becomes
// one space. That is no target, so it is a wrong version, and not "unknown".
func cleanVersion(s string) cleaned {
	if v := cleanLine(trimVersion(s)); v != "" || s == "" {
		return v
	}
	return " "
}

// versionProblem returns the problem of a version that a caller gives; empty when there is none.
func versionProblem(s string) string {
	v := trimVersion(s)
	if v == "" && s != "" {
		return "is blank"
	}
	return textProblem(v, maxText)
}

func checkVersion(m *mistakes, field, value string) {
	if problem := versionProblem(value); problem != "" {
		m.add(field, strconv.Quote(shorten(value)), problem, textAllowed(maxText))
	}
}

// trimmed returns the spec with its versions as they are kept.
func (s Spec) trimmed() Spec {
	for _, v := range []*string{&s.FromVersion, &s.FromRelease, &s.ToVersion, &s.ToRelease} {
		*v = trimVersion(*v)
	}
	return s
}

// trim changes the versions of a task to what is kept of them.
func (t *TaskSpec) trim() {
	for _, v := range []*string{&t.FromVersion, &t.FromRelease, &t.ToVersion, &t.ToRelease} {
		*v = trimVersion(*v)
	}
}

// sameness is Options.SameVersion; nil is equality.
type sameness func(a, b string) bool

// as returns target when version is another form of it, and version otherwise.
func (f sameness) as(version cleaned, target string) cleaned {
	if f != nil && version != "" && string(version) != target && f.says(string(version), target) {
		return cleaned(target)
	}
	return version
}

// says calls the function of the user. A panic counts as false.
func (f sameness) says(a, b string) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	return f(a, b)
}
