// SPDX-License-Identifier: Apache-2.0

package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/microsoft/go-mssqldb/azuread"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The errors of this file repeat nothing of a dsn but its words, since it may hold a
// password.
var (
	errDSN = errors.New("the dsn cannot be read: write sqlserver://<user>:<password>@<host>?database=<database>, " +
		`or the connection string of the portal, with "double quotes" around a password that has a semicolon`)
	errNoServer   = errors.New("the dsn names no server: write sqlserver://<user>:<password>@<host>?database=<database>")
	errNoDatabase = errors.New("the dsn names no database: write sqlserver://<user>:<password>@<host>?database=<database>")
	errReadIntent = errors.New("applicationintent=ReadOnly in the dsn asks for a replica, which cannot be written: remove it")
)

// words are what a dsn may say, by the driver's names for them. The driver ignores any
// other word, some of which people take for protection.
var words = []string{
	"server", "port", "protocol", "database", "user id", "password", "encrypt", "trustservercertificate", "certificate",
	"servercertificate", "hostnameincertificate", "tlsmin", "app name", "workstation id", "connection timeout", "dial timeout",
	"keepalive", "packet size", "failoverpartner", "failoverport", "multisubnetfailover", "applicationintent", "notraceid",
	"fedauth", "applicationclientid", "clientcertpath", "resource id", "tokenfilepath", "additionallyallowedtenants",
	"disableinstancediscovery", "sendcertificatechain",
}

// harmless are words of the portal's connection strings with the value that says what the
// driver does anyway.
var harmless = map[string]string{
	"persist security info": "false", "persistsecurityinfo": "false", "multipleactiveresultsets": "false", "multiple active result sets": "false",
	"pooling": "true",
}

// authentications translate the word Authentication of the portal, which the driver would
// ignore.
var authentications = map[string]string{
	"active directory default":           azuread.ActiveDirectoryDefault,
	"active directory managed identity":  azuread.ActiveDirectoryManagedIdentity,
	"active directory msi":               azuread.ActiveDirectoryManagedIdentity,
	"active directory workload identity": azuread.ActiveDirectoryWorkloadIdentity,
	"active directory service principal": azuread.ActiveDirectoryServicePrincipal,
	"sql password":                       "",
}

// dsn is a connection string by the driver's names of its words.
type dsn map[string]string

// parse reads a connection string in any of the driver's forms and checks its words.
func parse(text string) (dsn, error) {
	config, err := msdsn.Parse(text)
	if err != nil || len(config.Parameters) == 0 {
		return nil, errDSN
	}
	d := dsn(maps.Clone(config.Parameters))
	if d[msdsn.Encrypt] == "" {
		// The driver's own default is no encryption, and no check of the certificate.
		d[msdsn.Encrypt] = "true"
	}
	if method, ok := d["authentication"]; ok {
		if err := d.authenticate(method); err != nil {
			return nil, err
		}
	}
	for _, word := range slices.Sorted(maps.Keys(d)) {
		switch value, known := harmless[word]; {
		case known && strings.EqualFold(d[word], value):
			delete(d, word)
		case known:
			return nil, fmt.Errorf("%s in the dsn can only be %s: remove it", word, value)
		case !slices.Contains(words, word) && d[word] == "":
			// The tail of a password with a semicolon looks like this.
			return nil, errDSN
		case !slices.Contains(words, word):
			return nil, fmt.Errorf("%q in the dsn would be ignored by the driver: remove it; the words are %s", word, strings.Join(words, ", "))
		}
	}
	switch {
	case config.Host == "":
		return nil, errNoServer
	case config.Database == "":
		return nil, errNoDatabase
	case strings.EqualFold(d["applicationintent"], "ReadOnly"):
		return nil, errReadIntent
	}
	if _, err := azuread.NewConnector(d.text()); err != nil {
		return nil, errDSN
	}
	return d, nil
}

// authenticate replaces the portal's word by the driver's.
func (d dsn) authenticate(method string) error {
	translated, ok := authentications[strings.ToLower(strings.TrimSpace(method))]
	if !ok {
		return fmt.Errorf("authentication in the dsn is none of %s", strings.Join(slices.Sorted(maps.Keys(authentications)), ", "))
	}
	delete(d, "authentication")
	if translated != "" {
		d["fedauth"] = translated
	}
	return nil
}

// text is the connection string for the driver.
func (d dsn) text() string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(d)) {
		parts = append(parts, word+`="`+strings.ReplaceAll(d[word], `"`, `""`)+`"`)
	}
	return strings.Join(parts, ";")
}

// CheckDSN checks a dsn: a URL sqlserver://..., or a connection string such as the Azure
// portal shows. A word that the driver does not know is an error.
func CheckDSN(text string) error {
	_, err := parse(text)
	return err
}

// identity names the data: server, database and tables, and no user.
func identity(text, prefix string) string {
	d, err := parse(text)
	if err != nil {
		return ""
	}
	config, err := msdsn.Parse(d.text())
	if err != nil {
		return ""
	}
	name := "sqlserver " + strings.ToLower(config.Host)
	if config.Instance != "" {
		name += `\` + strings.ToLower(config.Instance)
	}
	if config.Port != 0 {
		name += ":" + strconv.FormatUint(config.Port, 10)
	}
	return name + "/" + config.Database + " " + prefix + "*"
}

// warn says what an administrator may not expect.
func (d dsn) warn(ctx context.Context, env store.Env) {
	if env.Log == nil {
		return
	}
	env.Log.WarnContext(ctx, "the project has not run this store against a real SQL Server: try it before you rely on it")
	switch strings.ToLower(d[msdsn.Encrypt]) {
	case "disable", "optional", "no", "false", "f", "0":
		env.Log.WarnContext(ctx, "the connection to SQL Server is not encrypted, as encrypt in the dsn says")
	}
	if trust, err := strconv.ParseBool(d[msdsn.TrustServerCertificate]); err == nil && trust {
		env.Log.WarnContext(ctx, "the certificate of SQL Server is not checked, as trustservercertificate in the dsn says")
	}
}
