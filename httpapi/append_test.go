package httpapi

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Whatever is in a task, and whatever is not, it is written as encoding/json would.
func TestAppendTask(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "agent-1", "", "a\"b", `a\b`, "<a>&", "z\u00fcrich", "\u2028", "\x00\n\x7f", "\xff", strings.Repeat("x", 300)}
	for range 20_000 {
		var task wire.Task
		for _, field := range reflect.ValueOf(&task).Elem().Fields() {
			field.SetString(texts[draw.IntN(len(texts))])
		}
		want, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendTask(nil, &task); string(got) != string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func FuzzAppendText(f *testing.F) {
	for _, s := range []string{"", "agent-1", "\"<\u2028\xff\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendText([]byte("x"), s); string(got[1:]) != string(want) || got[0] != 'x' {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}
