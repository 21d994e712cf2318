// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"strconv"
)

// Windows of ids. An id begins with four hex digits, which are its cell.
const (
	cells = 1 << 16
	// Narrow is for what may be a million: on average a page of answers.
	Narrow = 64
	// Wide is for what is nearly always a handful.
	Wide = cells

	// beyond comes after every hex digit.
	beyond = "g"
)

// Window lists at least want items whose ids come after the given one, in order, or all
// there are. It asks for ranges of ids, wider and wider until it has enough, since Cosmos
// DB sorts nothing across partitions, and a range that was read whole can be sorted here.
// query returns what lies strictly between two strings, in order; room says how many of
// them are wanted, more are no mistake.
func Window[T any](after string, width, want int, query func(from, to string, room int) ([]T, error)) ([]T, error) {
	cell, err := cellOf(after)
	if err != nil {
		return nil, err
	}
	var all []T
	for from := after; cell < cells && len(all) < want; width *= 2 {
		cell = min(cell+width, cells)
		to := beyond
		if cell < cells {
			to = fmt.Sprintf("%04x", cell)
		}
		part, err := query(from, to, want-len(all))
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		from = to
	}
	return all, nil
}

func cellOf(id string) (int, error) {
	if id == "" {
		return 0, nil
	}
	if len(id) < 4 {
		return 0, fmt.Errorf("malformed id %q", id)
	}
	cell, err := strconv.ParseUint(id[:4], 16, 16)
	if err != nil {
		return 0, fmt.Errorf("malformed id %q", id)
	}
	return int(cell), nil
}
