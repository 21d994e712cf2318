// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Codes of the Table service.
// https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes
const (
	codeTableExists = "TableAlreadyExists"
	codeNoTable     = "TableNotFound"
	codeNoEntity    = "ResourceNotFound"
)

// taken tells whether an insert met an entity. What the entity is decides whoever reads
// it: an answer may have been lost, and the entity be this very write.
func taken(err error) bool {
	status, _ := azure.Answer(err)
	return status == http.StatusConflict
}

// conditional tells whether a conditional write was done. It was not where somebody else
// was faster.
func (s *Store) conditional(ctx context.Context, err error) (done bool, unknown error) {
	status, _ := azure.Answer(err)
	switch {
	case err == nil:
		return true, nil
	case status == http.StatusPreconditionFailed:
		return false, nil
	}
	if err := s.absentOr(ctx, err); !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	return false, nil
}

// absentOr returns store.ErrNotFound where the service said that the table has no such
// entity. A table that is gone is another thing, and so is a 404 of something in between:
// "no" would log everybody out. Cosmos DB says the same of both, so it is asked again.
func (s *Store) absentOr(ctx context.Context, err error) error {
	status, code := azure.Answer(err)
	if status != http.StatusNotFound || code != codeNoEntity {
		return s.failure(err)
	}
	if s.config.cosmos() {
		if err := s.look(ctx); err != nil {
			return s.failure(err)
		}
	}
	return store.ErrNotFound
}

// look asks the table for next to nothing: it succeeds where the table is there and may be
// read. The error is the library's.
func (s *Store) look(ctx context.Context) error {
	filter, top := "PartitionKey eq '"+leasePartition+"'", int32(1)
	_, err := s.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Top: &top}).NextPage(ctx)
	return err
}

// failure turns an error of the library into one that says what to do and nothing that
// must not be said. It is unknown for whoever asked.
func (s *Store) failure(err error) error {
	if err == nil {
		return nil
	}
	plain := azure.Plain(err)
	if remedy := s.remedy(err); remedy != "" {
		return fmt.Errorf("%w: %s", plain, remedy)
	}
	return plain
}

// remedy is what an administrator can do, if anything.
func (s *Store) remedy(err error) string {
	status, code := azure.Answer(err)
	switch {
	case status == http.StatusNotFound && code == codeNoTable, status == http.StatusNotFound && code == codeNoEntity:
		return fmt.Sprintf("there is no table %s: restart the server, which makes it, or run `az storage table create --name %s`", s.config.Table, s.config.Table)
	case status == http.StatusNotFound:
		return "this is no Table service: correct the endpoint"
	case status == http.StatusForbidden && code == "AuthorizationPermissionMismatch", status == http.StatusForbidden && s.config.Identity != "":
		return s.rights()
	case status == http.StatusForbidden && code == "AuthorizationFailure":
		return "the network rules of the account do not let this machine in, or " + s.rights()
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return "the key or signature is wrong or has ended, or the clock of this machine is: copy the connection string from the Azure portal again"
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return "the service is busy: give the account more throughput if this stays"
	case status == 0:
		return "the service cannot be reached: check the endpoint, the network and a firewall in between"
	}
	return ""
}

func (s *Store) rights() string {
	if s.config.Identity == "" {
		return "the signature does not allow reading, adding, updating and deleting entities: make one with the permissions raud for tables and objects"
	}
	return "the identity has no right to the table: run `az role assignment create --role \"Storage Table Data Contributor\" --assignee <object id> --scope <id of the storage account>`, and wait some minutes"
}
