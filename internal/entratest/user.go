// SPDX-License-Identifier: Apache-2.0

package entratest

import "slices"

// User is somebody who can sign in.
type User struct {
	// ObjectID is oid, a GUID.
	ObjectID string
	Name     string
	// Username is preferred_username and names the user on the page and in SignInAs.
	Username string
	// Email is left out of tokens when empty; DomainVerified adds xms_edov (the emulator)
	// or email_verified (the OpenID provider).
	Email          string
	DomainVerified bool
	Roles, Groups  []string
	// Guest is the issuer of the home directory of a guest; empty for members.
	Guest string
	// Disabled and Unassigned people cannot sign in or refresh.
	Disabled, Unassigned bool
}

// DefaultUsers are a member with a role, a member without, and a guest.
func DefaultUsers() []User {
	return []User{
		{
			ObjectID: "aaaaaaaa-0000-4000-8000-000000000001", Name: "Anna Admin", Username: "anna@contoso.example",
			Email: "anna@contoso.example", DomainVerified: true, Roles: []string{"MCP.Admin", "MCP.User"},
		},
		{
			ObjectID: "aaaaaaaa-0000-4000-8000-000000000002", Name: "Ben Builder", Username: "ben@contoso.example",
			Email: "ben@contoso.example", Roles: []string{"MCP.User"},
		},
		{
			ObjectID: "aaaaaaaa-0000-4000-8000-000000000003", Name: "Gita Guest", Username: "gita_fabrikam.example#EXT#@contoso.example",
			Email: "gita@fabrikam.example", Guest: "https://sts.windows.net/bbbbbbbb-0000-4000-8000-000000000001/",
		},
	}
}

// user returns the user as the directory has it now.
func (d *directory) user(username string) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.users, func(u User) bool { return u.Username == username })
	if i < 0 {
		return User{}, false
	}
	return d.users[i], true
}

// directory are the users of a server.
type directory struct {
	*server
	users []User
}

// Change lets f change a user, for instance to disable the account. It panics where
// there is no such user, since a test would then prove nothing.
func (d *directory) Change(username string, f func(*User)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.users, func(u User) bool { return u.Username == username })
	if i < 0 {
		panic("entratest: no user " + username)
	}
	f(&d.users[i])
}

// Disable disables an account.
func (d *directory) Disable(username string) {
	d.Change(username, func(u *User) { u.Disabled = true })
}

func (d *directory) list() []User {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.users)
}
