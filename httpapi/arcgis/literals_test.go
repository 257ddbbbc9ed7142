package arcgis_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// literal is a row of the committed table: what the document's server sends.
type literal struct {
	section string
	code    int // of a message; 0: a piece of JSON
	text    string
}

func literals(t *testing.T) []literal {
	t.Helper()
	b, err := os.ReadFile("../testdata/literals/arcgis.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []literal
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(cells) != 3 {
			t.Fatalf("the line has %d cells: %s", len(cells), line)
		}
		code, _ := strconv.Atoi(cells[1])
		all = append(all, literal{cells[0], code, cells[2]})
	}
	return all
}

// pattern is the text of a message, whose {text}, {number}, {00} and {000} stand for what differs.
func (l literal) pattern() *regexp.Regexp {
	s := regexp.QuoteMeta(l.text)
	s = strings.NewReplacer(
		`\{text\}`, `\S.*`, `\{number\}`, `\d+`, `\{00\}`, `\d\d+`, `\{000\}`, `\d\d\d`,
	).Replace(s)
	return regexp.MustCompile("^" + s + "$")
}

// Every literal of the document is sent, word for word, and every message of a rollback that
// succeeds is one of them.
func TestLiterals(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_345432_505", "10.9.0.504", "10.9.0.505", "apps")
		w.install("pat_345433_506", "10.9.0.505", "10.9.0.506", "apps", "monitoring components")
		first := w.back("pat_345432_505")
		done := w.finish()
		raw, err := json.Marshal(map[string]any{"first": first.Status.State, "last": done.Status.State})
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		w.h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/context/admin/system/upgrades?f=json&token=ann-token", nil))
		all := string(raw) + rec.Body.String()
		sent := map[int][]string{}
		for _, m := range append(first.Status.Messages, done.Status.Messages...) {
			sent[m.Code] = append(sent[m.Code], m.Message)
		}
		messages := 0
		for _, l := range literals(t) {
			if l.code == 0 {
				if !strings.Contains(all, l.text) {
					t.Errorf("%s: %s is not sent", l.section, l.text)
				}
				continue
			}
			messages++
			if len(sent[l.code]) == 0 {
				t.Errorf("%s: message %d is not sent", l.section, l.code)
			}
			for _, text := range sent[l.code] {
				if !l.pattern().MatchString(text) {
					t.Errorf("%s: message %d is %q, want %q", l.section, l.code, text, l.text)
				}
			}
			delete(sent, l.code)
		}
		if messages != 15 || len(sent) > 0 {
			t.Errorf("%d messages are in the table; not in it: %v", messages, sent)
		}
	})
}

// The newest job is shown, whatever it is: an installation in progress, one that is complete, a
// rollback.
func TestUpgradesShowsInstallations(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		state := func(want string, code int) {
			t.Helper()
			if r := w.upgrades(); r.Status.State != want || r.Status.Code != code {
				t.Errorf("got %+v, want %s", r.Status, want)
			}
		}
		state("no_upgrade", 0)
		w.install("pat_1", "1", "2")
		state("success", 3)
		p := w.create("2", "3", map[string]string{"patch": "pat_2"}, "apps", "core")
		state("success", 3) // the one before
		w.startPlan(p.ID)
		state("in_progress", 1)
		w.wait(p.ID)
		state("success", 3)
		if r := w.upgrades(); len(r.Status.Messages) != 7 || !strings.HasPrefix(r.Status.Messages[6].Message, "The ArcGIS Enterprise on Kubernetes has been upgraded from 2 to 3") {
			t.Errorf("got %+v", r.Status)
		}
		time.Sleep(time.Minute)
		w.back("pat_1")
		state("in_progress", 1)
		if r := w.finish(); r.Status.Messages[0].Code != 2072 || r.Status.Code != 3 {
			t.Errorf("got %+v", r.Status)
		}
		w.install("pat_4", "2", "4")
		if r := w.upgrades(); r.Status.Code != 3 || !strings.Contains(r.Status.Messages[0].Message, "from 2 to 4") {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// A form may be multipart, as clients send it where a file is possible.
func TestMultipart(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1", "2")
		w.install("pat_2", "2", "3")
		send := func(contentType, body string) reply {
			r := httptest.NewRequest(http.MethodPost, root+"/checkRollback", strings.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Accept", "application/json")
			return w.send(r)
		}
		part := func(name, value string) string {
			return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
		}
		good := part("f", "json") + part("token", "ann-token") + part("manifestFile", strings.Repeat("x", 1000)) + "--b--\r\n"
		if r := send("multipart/form-data; boundary=b", good); r.Error != nil || len(r.Updates) != 1 {
			t.Errorf("got %+v", r)
		}
		for name, c := range map[string]struct {
			contentType, body string
			code              int
			text              string
		}{
			"no boundary": {"multipart/form-data", good, 499, "boundary"},
			"cut off":     {"multipart/form-data; boundary=b", good[:len(good)-60], 400, "ended before"},
			"twice":       {"multipart/form-data; boundary=b", part("f", "json") + good, 400, "twice"},
			"no token":    {"multipart/form-data; boundary=b", part("f", "json") + "--b--\r\n", 499, "Token Required"},
			"another":     {"multipart/mixed; boundary=b", good, 499, "multipart/form-data"},
			"bad token":   {"multipart/form-data; boundary=b", part("token", "a\x00b") + "--b--\r\n", 499, "control"},
		} {
			t.Log(name)
			w.refused(send(c.contentType, c.body), c.code, c.text)
		}
	})
}

// With a prefix, every path below it answers in the form of this API.
func TestUnmounted(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		mux := http.NewServeMux()
		mountOn(mux, w.h)
		for _, path := range []string{"/context/admin/", "/context/admin/generateToken", "/context/admin/system/licenses", root + "/nothing"} {
			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path+"?f=json&token=ann-token", nil))
			if rec.Code != http.StatusOK || !strings.HasPrefix(rec.Body.String(), `{"error":{"code":404,`) {
				t.Errorf("%s: got %d %s", path, rec.Code, rec.Body)
			}
		}
	})
}
