// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// keyFileLimit bounds what is read of a key file: one line of base64 is 45 bytes.
const keyFileLimit = 128

// ownKey is where the bucket "about" names the key of the key file by its id.
var ownKey = []byte("own_key")

// MasterKey returns the key that is kept beside the store file, in its path + ".key", and
// makes it the first time. The key file holds one line of base64, which encryption_key
// takes as {file.<path>.key} when the site moves to a shared store. It must be readable
// by its owner alone. The store remembers the id of its key: one that is lost is not made
// anew, since what is sealed under it would never open again.
func (s *Store) MasterKey(ctx context.Context, random io.Reader) ([]byte, error) {
	path := s.path + ".key"
	known, err := s.ownKey(ctx)
	if err != nil {
		return nil, err
	}
	key, err := readKey(path)
	switch lost := errors.Is(err, fs.ErrNotExist); {
	case lost && known == "":
		key, err = newKey(path, random)
	case lost:
		return nil, fmt.Errorf("key file %s is missing, and the store beside it is sealed under its key (id %s): put the file back from where you saved it, or write the key as encryption_key; to begin anew without anybody's sign-in, choose another `store file <path>`", path, known)
	}
	if err != nil {
		return nil, err
	}
	m, err := seal.NewMaster(key)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	switch id := m.KID().String(); known {
	case id:
		return key, nil
	case "":
		return key, s.write(ctx, func(t tables) error { return t.about.Put(ownKey, []byte(id)) })
	default:
		return nil, fmt.Errorf("key file %s holds the key %s, and the store beside it is sealed under the key %s: put back the key file that was saved with the store, or write that key as encryption_key", path, id, known)
	}
}

// KeyBeside returns the key that is kept beside the file of another store, in its path +
// ".key". Where there is none it is made, unless inUse says that the store has records.
func KeyBeside(path string, inUse func() (bool, error), random io.Reader) ([]byte, error) {
	path += ".key"
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	switch used, err := inUse(); {
	case err != nil:
		return nil, err
	case used:
		return nil, fmt.Errorf("key file %s is missing, and the store beside it is sealed under its key: put the file back from where you saved it, or write the key as encryption_key; to begin anew without anybody's sign-in, choose another path", path)
	}
	return newKey(path, random)
}

// ownKey returns the id of the key that the store belongs to, or "".
func (s *Store) ownKey(ctx context.Context) (id string, err error) {
	err = s.view(ctx, func(t tables) error {
		id = string(t.about.Get(ownKey))
		return nil
	})
	return id, err
}

func newKey(path string, random io.Reader) ([]byte, error) {
	if err := makeKey(path, random); err != nil {
		return nil, fmt.Errorf("making key file %s: %w", path, err)
	}
	// Another process may have been first, and then its key is the one.
	return readKey(path)
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening key file: %w", err)
	}
	defer f.Close()
	if err := checkKeyFile(path, f); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, keyFileLimit))
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != seal.KeySize {
		return nil, fmt.Errorf("key file %s does not hold the base64 of %d bytes; restore it, or set encryption_key", path, seal.KeySize)
	}
	return key, nil
}

func checkKeyFile(path string, f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("reading key file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("key file %s is not a regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("key file %s can be read by others than its owner (mode %04o); run chmod 600 on it", path, info.Mode().Perm())
	}
	return nil
}

// makeKey publishes a new key unless there is one already. The file gets its name only
// when its content is on the disk, and a link, unlike a rename, replaces nothing.
func makeKey(path string, random io.Reader) error {
	key := make([]byte, seal.KeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return err
	}
	temporary, err := writeTemporary(path, base64.StdEncoding.EncodeToString(key)+"\n")
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; where the file system has no hard links, set encryption_key", err)
	}
	return syncDir(filepath.Dir(path))
}

// writeTemporary writes a synced file with mode 0600 beside path and returns its name.
func writeTemporary(path, text string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
