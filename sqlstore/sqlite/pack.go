package sqlite

import (
	"bytes"
	"strconv"

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// SQLite has no arrays. It has the states of a block one after the other, and their sizes as a JSON
// array.

// pack is the other direction of unpack.
func pack(states [][]byte) (sizes string, all []byte) {
	text := make([]byte, 0, 4*len(states)+1)
	for i, s := range states {
		text = append(text, "[,"[min(i, 1)])
		text = strconv.AppendInt(text, int64(len(s)), 10)
		all = append(all, s...)
	}
	if all == nil {
		all = []byte{}
	}
	return string(append(text, ']')), all
}

func unpack(sizes, all []byte) ([][]byte, error) {
	states := make([][]byte, 0, sqlcore.BlockSize)
	for size := range bytes.SplitSeq(bytes.Trim(sizes, "[]"), []byte{','}) {
		n, err := strconv.Atoi(string(size))
		if err != nil || n < 0 || n > len(all) {
			return nil, sqlcore.ErrBlock
		}
		states, all = append(states, all[:n:n]), all[n:]
	}
	if len(all) > 0 {
		return nil, sqlcore.ErrBlock
	}
	return states, nil
}
