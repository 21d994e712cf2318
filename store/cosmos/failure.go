// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// taken tells whether an insert met an item. What the item is decides whoever reads it:
// an answer may have been lost, and the item be this very write.
func taken(err error) bool {
	status, _ := azure.Answer(err)
	return status == http.StatusConflict
}

// conditional tells whether a conditional write was done. It was not where somebody else
// was faster.
func (s *Store) conditional(err error) (done bool, unknown error) {
	status, _ := azure.Answer(err)
	switch {
	case err == nil:
		return true, nil
	case status == http.StatusPreconditionFailed:
		return false, nil
	}
	if err := s.absentOr(err); !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	return false, nil
}

// absentOr returns store.ErrNotFound where the service said that the container has no
// such item. A container or database that is gone is another thing (substatus 1003), so
// is a replica that is behind (1002), and so is a 404 of something in between, which has
// no activity id: "no" would log everybody out.
// https://learn.microsoft.com/azure/cosmos-db/troubleshoot-not-found
func (s *Store) absentOr(err error) error {
	var response *azcore.ResponseError
	if errors.As(err, &response) && response.StatusCode == http.StatusNotFound && response.RawResponse != nil {
		h := response.RawResponse.Header
		sub := h.Get("X-Ms-Substatus")
		if (sub == "" || sub == "0") && h.Get("X-Ms-Activity-Id") != "" {
			return store.ErrNotFound
		}
	}
	return s.failure(err)
}

// failure turns an error of the library into one that says what to do and nothing that
// must not be said. It is unknown for whoever asked.
func (s *Store) failure(err error) error {
	if err == nil || errors.Is(err, errUnfit) {
		return err
	}
	plain := azure.Plain(err)
	if remedy := s.remedy(err); remedy != "" {
		return fmt.Errorf("%w: %s", plain, remedy)
	}
	return plain
}

// remedy is what an administrator can do, if anything.
func (s *Store) remedy(err error) string {
	status, _ := azure.Answer(err)
	switch {
	case status == http.StatusNotFound:
		return "there is no container " + s.config.Container + " in the database " + s.config.Database + ": " + s.commands()
	case (status == http.StatusForbidden || status == http.StatusUnauthorized) && s.config.Identity != "":
		return "the identity has no right to the container: run `az cosmosdb sql role assignment create --account-name <account> --resource-group <group> --role-definition-name \"Cosmos DB Built-in Data Contributor\" --principal-id <object id> --scope /`"
	case status == http.StatusUnauthorized:
		return "the key is wrong, or the clock of this machine is: copy the connection string from the Azure portal again"
	case status == http.StatusForbidden:
		return "the account does not let this machine in: check its network rules, and that it allows keys"
	case status == http.StatusTooManyRequests:
		return "the request units are used up: give the container more if this stays"
	case status == 0:
		return "the service cannot be reached: check the endpoint, the network and a firewall in between"
	}
	return ""
}

// commands make what is absent.
func (s *Store) commands() string {
	return fmt.Sprintf("run `az cosmosdb sql database create --account-name <account> --resource-group <group> --name %[1]s` and `az cosmosdb sql container create --account-name <account> --resource-group <group> --database-name %[1]s --name %[2]s --partition-key-path /id --ttl -1`",
		s.config.Database, s.config.Container)
}
