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

// Kept stands for the status, and twice for the reason, of an agent that a commit does not change.
const Kept = '.'

// BlockChange is the part of a block that a commit changes.
type BlockChange struct {
	Block    int
	Statuses [BlockSize]byte     // hexadecimal digits, or Kept
	Reasons  [2 * BlockSize]byte // likewise
	States   [BlockSize][]byte   // by place; nil where nothing changes
	Last     int                 // the last place that changes
}

// BlockChanges returns the changes of the agents among the rows of a commit, in the order of the
// blocks.
func BlockChanges(rows []ota.Row) (changes []BlockChange) {
	byNumber := func(a, b ota.Row) int { return a.Number - b.Number }
	if !slices.IsSortedFunc(rows, byNumber) {
		agents := slices.DeleteFunc(slices.Clone(rows), func(r ota.Row) bool { return r.Kind != ota.KindAgent })
		slices.SortStableFunc(agents, byNumber)
		rows = agents
	}
	for i := range rows {
		r := &rows[i]
		if r.Kind != ota.KindAgent {
			continue
		}
		block, place := r.Number/BlockSize, r.Number%BlockSize
		if n := len(changes); n == 0 || changes[n-1].Block != block {
			changes = append(changes, newChange(block))
		}
		c := &changes[len(changes)-1]
		c.States[place], c.Last = Bytes(r.State), place
		c.Statuses[place] = hexDigits[r.Status&15]
		copy(c.Reasons[2*place:], hexOf(uint8(r.Reason)))
	}
	return changes
}

func newChange(block int) BlockChange {
	c := BlockChange{Block: block}
	for i := range c.Statuses {
		c.Statuses[i] = Kept
	}
	for i := range c.Reasons {
		c.Reasons[i] = Kept
	}
	return c
}

// Merge returns digits with those of a change that are not Kept.
func Merge(digits string, change []byte) string {
	b := []byte(digits)
	for i := range min(len(b), len(change)) {
		if change[i] != Kept {
			b[i] = change[i]
		}
	}
	return string(b)
}

const hexDigits = "0123456789abcdef"

// hexOf returns two digits.
func hexOf(code uint8) string { return string([]byte{hexDigits[code>>4], hexDigits[code&15]}) }

// unhex returns the value of digits.
func unhex(digits string) (n int) {
	for _, d := range []byte(digits) {
		switch {
		case d >= 'a':
			n = n*16 + int(d-'a') + 10
		default:
			n = n*16 + int(d-'0')
		}
	}
	return n
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
		statuses, reasons := make([]byte, 0, n), make([]byte, 0, 2*n)
		for i := range b.States {
			b.States[i] = Bytes(rows[i].State)
			statuses = append(statuses, hexDigits[rows[i].Status&15])
			reasons = append(reasons, hexOf(rows[i].Reason)...)
		}
		b.Statuses, b.Reasons = string(statuses), string(reasons)
		blocks, rows = append(blocks, b), rows[n:]
	}
	return blocks
}

// BlockRow is a block as it is read.
type BlockRow struct {
	Block             int
	Statuses, Reasons string
	States            [][]byte
}

// Set gives a row what the block has of it.
func (b *BlockRow) Set(r *ota.Row) error {
	place := r.Number % BlockSize
	if place >= len(b.States) || place >= len(b.Statuses) || 2*place+2 > len(b.Reasons) {
		return ErrBlock
	}
	return SetState(r, b.Statuses[place:place+1], b.Reasons[2*place:2*place+2], b.States[place])
}

// SetState gives a row its digits and its bytes.
func SetState(r *ota.Row, status, reason string, state []byte) error {
	if len(status) != 1 || len(reason) != 2 {
		return ErrBlock
	}
	r.Status, r.Reason = uint8(unhex(status)), ota.Reason(unhex(reason))
	if r.State = nil; len(state) > 0 {
		r.State = state
	}
	return nil
}

// ErrBlock is the error of a row whose columns do not fit together.
var ErrBlock = errors.New("a row of ota_states is damaged")
