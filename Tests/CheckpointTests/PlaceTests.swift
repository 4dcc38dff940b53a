import Checkpoint
import Testing

/// Places in a file system that has a second mount of one directory: /mounted is /inputs.
@Suite("Places") struct PlaceTests {
  private static let inodes: [String: UInt64] = [
    "/": 1, "/inputs": 2, "/mounted": 2, "/inputs/one": 3, "/mounted/one": 3, "/inputs/one/model.safetensors": 4,
    "/mounted/one/model.safetensors": 4, "/other": 5, "/blobs": 6, "/blobs/4": 4,
  ]
  private static let names = [
    "/inputs": ["one"], "/mounted": ["one"], "/inputs/one": ["model.safetensors"],
    "/mounted/one": ["model.safetensors"],
  ]

  private func place(_ path: String) -> Place {
    Place(
      path, resolve: { PlaceTests.inodes[$0] == nil ? nil : $0 },
      identity: { path in PlaceTests.inodes[path].map { FileIdentity(device: 1, inode: $0) } },
      names: { PlaceTests.names[$0] ?? [] })
  }

  @Test(
    "what is, lies in, or holds an input is not apart from it, by whatever mount it is named",
    arguments: [
      "/inputs", "/mounted", "/inputs/one", "/mounted/one", "/mounted/one/new", "/mounted/one/model.safetensors",
      "/blobs/4",
    ])
  func together(output: String) {
    #expect(!place(output).isApart(from: place("/inputs/one")))
  }

  @Test(
    "what is beside an input is apart", arguments: ["/other", "/other/new", "/mounted/two", "/inputs/two", "/blobs/5"])
  func apart(output: String) {
    #expect(place(output).isApart(from: place("/inputs/one")))
  }

  @Test("another device with the same numbers is another place")
  func otherDevice() {
    let other = Place(
      "/copy/one", resolve: { $0 }, identity: { _ in FileIdentity(device: 2, inode: 3) }, names: { _ in [] })
    #expect(place("/other").isApart(from: other) && other.isApart(from: place("/inputs/one")))
  }
}
