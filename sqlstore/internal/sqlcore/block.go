package sqlcore

import (
	"errors"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// BlockSize is how many agents have their states in one row of ota_states. Agents that change
// together mostly follow one another. So a commit of 64 outcomes and 64 starts updates some six
// rows instead of 128, and updating one costs little more than updating that of a single agent did.
// The migrations and the views have this number too.
const BlockSize = 32

// BlockChange is the part of a block that a commit changes.
type BlockChange struct {
	Block  int
	States [BlockSize][]byte // by place; nil where nothing changes
	Last   int               // the last place that changes
}

// BlockChanges returns the changes of rows, in the order of the blocks.
func BlockChanges(rows []ota.AgentRow) ([]BlockChange, error) {
	rows = InOrder(rows, func(a, b ota.AgentRow) int { return a.Ordinal - b.Ordinal })
	var changes []BlockChange
	buffer := make([]byte, 0, 32*len(rows))
	for i := range rows {
		a, start := &rows[i], len(buffer)
		var err error
		if buffer, err = a.State.AppendBinary(buffer); err != nil {
			return nil, err
		}
		block, place := a.Ordinal/BlockSize, a.Ordinal%BlockSize
		if n := len(changes); n == 0 || changes[n-1].Block != block {
			changes = append(changes, BlockChange{Block: block})
		}
		c := &changes[len(changes)-1]
		c.States[place], c.Last = buffer[start:len(buffer):len(buffer)], place
	}
	return changes, nil
}

// BlockRecord is a block to insert.
type BlockRecord struct {
	Block    int
	Statuses string
	Reasons  string
	States   [][]byte
}

// blocksOf returns the blocks of new agents. The first agent begins a block.
func blocksOf(rows []AgentRecord) (blocks []BlockRecord) {
	for len(rows) > 0 {
		n := min(BlockSize, len(rows))
		b := BlockRecord{Block: rows[0].Ordinal / BlockSize, States: make([][]byte, n)}
		for i := range b.States {
			b.States[i] = rows[i].State
		}
		b.Statuses, b.Reasons = StatusesOf(b.States), ReasonsOf(b.States)
		blocks, rows = append(blocks, b), rows[n:]
	}
	return blocks
}

// StatusesOf returns a digit for each state: its second byte.
func StatusesOf(states [][]byte) string {
	digits := make([]byte, len(states))
	for i, s := range states {
		digits[i] = '0' + s[1]
	}
	return string(digits)
}

// ErrBlock is the error of a row whose bytes are no states.
var ErrBlock = errors.New("a row of ota_states is damaged")

// InOrder returns the rows in order. An engine gives them in order already.
func InOrder[T any](rows []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(rows, compare) {
		return rows
	}
	return slices.SortedFunc(slices.Values(rows), compare)
}
