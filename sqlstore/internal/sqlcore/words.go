package sqlcore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed-19b57ce3/ota"
)

// word is a row of ota_words: what a number means, for people who read the views.
type word struct {
	kind     string
	code     int
	word     string
	sentence string // of a reason
}

// words returns the words of all numbers that the views show.
func words() (list []word) {
	add := func(kind string, text func(code uint8) string) {
		for code := range 256 {
			s := text(uint8(code))
			if s == strconv.Itoa(code) || s == fmt.Sprintf("reason_%d", code) { // no constant has it
				continue
			}
			w := word{kind: kind, code: code, word: s}
			if kind == "reason" {
				w.sentence = ota.Reason(code).Sentence()
			}
			list = append(list, w)
		}
	}
	add("status", func(c uint8) string { return ota.Status(c).String() })
	add("batch status", func(c uint8) string { return ota.BatchStatus(c).String() })
	add("task status", taskStatus)
	add("coverage", func(c uint8) string { return ota.Coverage(c).String() })
	add("reason", func(c uint8) string { return ota.Reason(c).String() })
	return list
}

// writeWords brings ota_words up to date. It writes nothing if the table has all of them. Words
// that only a newer version of the library has stay.
func (s *Store) writeWords(ctx context.Context) error {
	have := map[word]bool{}
	err := s.db.Query(ctx, `SELECT kind, code, word, sentence FROM ota_words`, nil, func(scan ScanFunc) error {
		var w word
		err := scan(&w.kind, &w.code, &w.word, &w.sentence)
		have[w] = true
		return err
	})
	var missing [][]any
	for _, w := range words() {
		if !have[w] {
			missing = append(missing, []any{w.kind, w.code, hexOf(uint8(w.code)), w.word, w.sentence})
		}
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	return s.db.Update(ctx, func(tx Querier) error {
		if err := s.db.Lock(ctx, tx, "words", 0); err != nil {
			return err
		}
		return tx.ExecMany(ctx, `INSERT INTO ota_words (kind, code, hex, word, sentence) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (kind, code) DO UPDATE SET word = excluded.word, sentence = excluded.sentence`, missing)
	})
}

// taskStatus is the word of a status of an agent. One of 8 and more is of an agent that is down; its
// word is the same.
func taskStatus(c uint8) string {
	if c > 15 {
		return strconv.Itoa(int(c))
	}
	return ota.TaskStatus(c & 7).String()
}
