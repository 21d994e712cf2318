// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// SystemAssigned is what managed_identity means without a client id: the identity of the
// machine itself, or the one that workload identity names.
const SystemAssigned = "system_assigned"

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// CheckIdentity checks the value of managed_identity.
func CheckIdentity(id string) error {
	if id != SystemAssigned && !guid.MatchString(id) {
		return fmt.Errorf("%q is not a client id: write one such as 11111111-2222-3333-4444-555555555555, or managed_identity alone for the identity of the machine", id)
	}
	return nil
}

// Credential returns the credential of an identity that CheckIdentity accepts. Where the
// variables of workload identity are set (AZURE_FEDERATED_TOKEN_FILE, AZURE_TENANT_ID,
// AZURE_CLIENT_ID), as Kubernetes sets them, it is that; else the managed identity of the
// machine. It asks for no token yet. Tokens come from elsewhere than data, so the library's
// own patience is right for them.
func Credential(id string) (azcore.TokenCredential, error) {
	o := azcore.ClientOptions{Telemetry: policy.TelemetryOptions{Disabled: true}}
	var clientID string
	if id != SystemAssigned {
		clientID = id
	}
	if os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "" {
		c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: o, ClientID: clientID})
		if err != nil {
			return nil, fmt.Errorf("workload identity: AZURE_FEDERATED_TOKEN_FILE is set, so AZURE_TENANT_ID and AZURE_CLIENT_ID have to be as well: %w", err)
		}
		return c, nil
	}
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: o}
	if clientID != "" {
		options.ID = azidentity.ClientID(clientID)
	}
	c, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		return nil, errors.New("managed identity: this environment does not support a client id; write managed_identity alone")
	}
	return c, nil
}
