package sqlstore

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/seed-19b57ce3/ota"
)

// blockSize is how many agents have their states in one row of ota_states. Agents that change together mostly follow one
// another: a commit of 64 outcomes and 64 starts updates some six rows instead of 128, and updating one costs little more than
// updating that of a single agent did. The migrations and the views know the number, too.
const blockSize = 32

// blockChange is what a commit changes of one block.
type blockChange struct {
	block  int
	states [blockSize][]byte // by place; nil where nothing changes
	last   int               // the last place that changes
}

// blockChanges returns what rows change, in order of the blocks.
func blockChanges(rows []ota.AgentRow) ([]blockChange, error) {
	rows = inOrder(rows, func(a, b ota.AgentRow) int { return a.Ordinal - b.Ordinal })
	var changes []blockChange
	buffer := make([]byte, 0, 32*len(rows))
	for i := range rows {
		a, start := &rows[i], len(buffer)
		var err error
		if buffer, err = a.State.AppendBinary(buffer); err != nil {
			return nil, err
		}
		block, place := a.Ordinal/blockSize, a.Ordinal%blockSize
		if n := len(changes); n == 0 || changes[n-1].block != block {
			changes = append(changes, blockChange{block: block})
		}
		c := &changes[len(changes)-1]
		c.states[place], c.last = buffer[start:len(buffer):len(buffer)], place
	}
	return changes, nil
}

// blockRecord is a block as it is inserted.
type blockRecord struct {
	block    int
	statuses string
	states   [][]byte
}

// blocksOf returns the blocks of new agents, of which the first begins one.
func blocksOf(rows []agentRecord) (blocks []blockRecord) {
	for len(rows) > 0 {
		n := min(blockSize, len(rows))
		b := blockRecord{block: rows[0].ordinal / blockSize, states: make([][]byte, n)}
		for i := range b.states {
			b.states[i] = rows[i].state
		}
		b.statuses = statusesOf(b.states)
		blocks, rows = append(blocks, b), rows[n:]
	}
	return blocks
}

// statusesOf returns a digit for each state: its second byte.
func statusesOf(states [][]byte) string {
	digits := make([]byte, len(states))
	for i, s := range states {
		digits[i] = '0' + s[1]
	}
	return string(digits)
}

var errBlock = errors.New("a row of ota_states is damaged")

// SQLite has no arrays: there the states of a block are one after the other, and their sizes a JSON array.

// pack is the other direction of unpack.
func pack(states [][]byte) (sizes string, all []byte) {
	text := make([]byte, 0, 4*len(states)+1)
	for i, s := range states {
		text = append(text, "[,"[min(i, 1)])
		text = strconv.AppendInt(text, int64(len(s)), 10)
		all = append(all, s...)
	}
	return string(append(text, ']')), all
}

func unpack(sizes, all []byte) ([][]byte, error) {
	states := make([][]byte, 0, blockSize)
	for size := range bytes.SplitSeq(bytes.Trim(sizes, "[]"), []byte{','}) {
		n, err := strconv.Atoi(string(size))
		if err != nil || n < 2 || n > len(all) { // a schema and a status at least
			return nil, errBlock
		}
		states, all = append(states, all[:n:n]), all[n:]
	}
	if len(all) > 0 {
		return nil, errBlock
	}
	return states, nil
}
