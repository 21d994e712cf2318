// SPDX-License-Identifier: Apache-2.0

package file

import "go.etcd.io/bbolt"

// NewKey publishes a key as several processes may do at once.
var NewKey = newKey

// AtCommit makes the store call fn around each transaction: before it, in it when all of
// its changes are made, and after it.
func (s *Store) AtCommit(fn func()) {
	s.commit = func(db *bbolt.DB, change func(*bbolt.Tx) error) error {
		fn()
		err := db.Update(func(tx *bbolt.Tx) error {
			err := change(tx)
			fn()
			return err
		})
		fn()
		return err
	}
}
