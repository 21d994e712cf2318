// SPDX-License-Identifier: Apache-2.0

package clienttest

// reads makes the Resource rule out of a comparison.
func reads(about func(document, pasted string) bool) func(Page, Place) (Resource, error) {
	return func(p Page, at Place) (Resource, error) { return readResource(p, about, at.Resource) }
}

func typeScript1() Client {
	return Client{
		Name: "TypeScript SDK 1.32.2", Challenge: typeScriptChallenge("bearer"),
		Places: search{announcedOnly: true, trim: true}.places, Resource: reads(covers),
		ServerURLs: serverURLs, Server: typeScriptServer, Final: true,
	}
}

func typeScript2() Client {
	c := typeScript1()
	c.Name, c.Challenge = "TypeScript client 2.4.0", typeScriptChallenge("bearer", "dpop")
	return c
}

// mcpRemote finds the documents by itself and leaves the judgment to the TypeScript client.
func mcpRemote() Client {
	c := typeScript2()
	c.Name, c.Challenge, c.Final = "mcp-remote 0.15.1", mcpRemoteChallenge, false
	c.Places, c.ServerURLs = search{trim: true}.places, mcpRemoteServerURLs
	return c
}

func golang() Client {
	return Client{
		Name: "Go SDK 1.8.0", Challenge: goChallenge, Places: goPlaces, Resource: goResource,
		ServerURLs: serverURLs, Server: goServer,
	}
}

// python follows build_protected_resource_metadata_discovery_urls and
// build_oauth_authorization_server_metadata_discovery_urls of utils.py.
func python() Client {
	return Client{
		Name: "Python SDK (2026-08)", Challenge: pythonChallenge, Places: search{}.places, Resource: reads(pythonCovers),
		ServerURLs: serverURLs, Server: pythonServer,
	}
}

// csharp follows GetWellKnownResourceMetadataUris of ClientOAuthProvider.cs.
func csharp() Client {
	return Client{
		Name: "C# SDK 2.2.0", Challenge: csharpChallenge,
		Places:   search{announcedOnly: true, trim: true}.places,
		Resource: reads(csharpSame), ServerURLs: serverURLs, Server: csharpServer, Final: true,
	}
}

func vsCode() Client {
	return Client{
		Name: "VS Code (2026-08)", Challenge: vsCodeChallenge, Places: search{announcedOnly: true}.places, Resource: reads(sameURL),
		ServerURLs: serverURLs, Server: vsCodeServer,
	}
}
