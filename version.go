package ota

import (
	"strconv"
	"strings"
)

// A version is a text that the engine compares, and understands no further. The blanks and ends of lines around it are
// dropped wherever one comes in: tools print them, and people paste them.

// trimVersion drops what does not belong to a version.
func trimVersion(s string) string { return strings.TrimSpace(s) }

// cleanVersion makes a version of what user code answers. A version of blanks alone stays one blank, which is no target:
// it is a wrong answer, and not the answer that nothing is known.
func cleanVersion(s string) cleaned {
	if v := cleanLine(trimVersion(s)); v != "" || s == "" {
		return v
	}
	return " "
}

// versionProblem says what is wrong with a version that a caller gives; empty when nothing is.
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

// trimmed is the spec with the versions as they are kept.
func (s Spec) trimmed() Spec {
	for _, v := range []*string{&s.FromVersion, &s.FromRelease, &s.ToVersion, &s.ToRelease} {
		*v = trimVersion(*v)
	}
	return s
}

// trim makes the versions of a task what is kept of them.
func (t *TaskSpec) trim() {
	for _, v := range []*string{&t.FromVersion, &t.FromRelease, &t.ToVersion, &t.ToRelease} {
		*v = trimVersion(*v)
	}
}

// sameness is Options.SameVersion; nil is equality.
type sameness func(a, b string) bool

// as returns target when version is another form of it, else version.
func (f sameness) as(version cleaned, target string) cleaned {
	if f != nil && version != "" && string(version) != target && f.says(string(version), target) {
		return cleaned(target)
	}
	return version
}

// says asks the function of the user. A panic of it is a no.
func (f sameness) says(a, b string) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	return f(a, b)
}
