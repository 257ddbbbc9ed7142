// Package script reads and writes the exchanges that the tests of the HTTP API are made of: files
// in which every request stands before the answer that is expected.
//
//	# A comment belongs to the exchange that follows it.
//	! pause ann
//	> POST /upgrade-plans/x/start
//	> If-Match: "1"
//	{"reason": "because"}
//	< 200 OK
//	< ETag: "2"
//	{
//	  "id": "x"
//	}
//
// A line that begins with ! is a command to whoever runs the script. Bodies end at an empty line.
package script

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Exchange is one request and its answer.
type Exchange struct {
	Line     int
	Comment  []string
	Commands []string
	Method   string
	Target   string   // path and query
	Header   []string // of the request, "Name: value"
	Body     string
	Status   int
	Answer   []string // headers of the answer
	Reply    string
}

// Get returns a header of the request.
func (x *Exchange) Get(name string) (string, bool) { return get(x.Header, name) }

// Reported returns a header of the answer.
func (x *Exchange) Reported(name string) string {
	v, _ := get(x.Answer, name)
	return v
}

func get(lines []string, name string) (string, bool) {
	for _, line := range lines {
		if k, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// Read reads a file.
func Read(name string) ([]Exchange, error) {
	b, err := os.ReadFile(name) //nolint:gosec // a script of a test
	if err != nil {
		return nil, err
	}
	var out []Exchange
	x := Exchange{}
	body := &x.Body
	for i, line := range strings.Split(string(b), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
			if x.Method != "" {
				out = append(out, x)
				x = Exchange{}
			}
		case mark == "#" && x.Method == "":
			x.Comment = append(x.Comment, line)
		case mark == "!" && x.Method == "":
			x.Commands = append(x.Commands, rest)
		case mark == ">" && x.Method == "":
			x.Line = i + 1
			x.Method, x.Target, _ = strings.Cut(rest, " ")
			body = &x.Body
		case mark == ">" && x.Body == "":
			x.Header = append(x.Header, rest)
		case mark == "<" && x.Status == 0:
			code, _, _ := strings.Cut(rest, " ")
			if x.Status, err = strconv.Atoi(code); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
			body = &x.Reply
		case mark == "<" && x.Reply == "":
			x.Answer = append(x.Answer, rest)
		case x.Method == "":
			return nil, fmt.Errorf("%s:%d: neither a comment, a command nor a request", name, i+1)
		default:
			*body += line + "\n"
		}
	}
	if x.Method != "" {
		out = append(out, x)
	}
	return out, nil
}

// Format is Read backwards.
func Format(list []Exchange) []byte {
	var b strings.Builder
	for i := range list {
		x := &list[i]
		if i > 0 {
			b.WriteString("\n")
		}
		for _, line := range x.Comment {
			b.WriteString(line + "\n")
		}
		for _, line := range x.Commands {
			b.WriteString("! " + line + "\n")
		}
		fmt.Fprintf(&b, "> %s %s\n", x.Method, x.Target)
		for _, line := range x.Header {
			b.WriteString("> " + line + "\n")
		}
		b.WriteString(x.Body)
		fmt.Fprintf(&b, "< %d %s\n", x.Status, http.StatusText(x.Status))
		slices.Sort(x.Answer)
		for _, line := range x.Answer {
			b.WriteString("< " + line + "\n")
		}
		b.WriteString(x.Reply)
	}
	return []byte(b.String())
}
