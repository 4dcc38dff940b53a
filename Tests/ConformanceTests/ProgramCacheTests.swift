import Checkpoint
import Compute
import ComputeKernels
import Foundation
import TestSupport
import Testing

@Suite("Compiled programs are kept") struct ProgramCacheTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static func source(_ constants: [String: Int] = ["GROUP_SIZE": 64]) -> ProgramSource {
    ProgramSource(file: "portable/add.cl", constants: constants)
  }

  private func key(
    _ source: ProgramSource = source(), _ dialect: KernelDialect = .openCL, _ environment: [String] = ["a", "b"]
  ) -> ProgramCache.Key {
    ProgramCache.Key(source, in: dialect, environment: environment)
  }

  /// The only file in a directory.
  private func onlyFile(in directory: String) throws -> String {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory)
    return try "\(directory)/\(#require(names.count == 1 ? names[0] : nil, "\(names)"))"
  }

  @Test("a binary comes back for what it was made of, and for nothing else")
  func keys() {
    let cache = ProgramCache(directory: directory("new/and/deep"))
    #expect(cache.binary(for: key()) == nil)
    cache.store([1, 2, 3], for: key())
    #expect(cache.binary(for: key()) == [1, 2, 3])
    let others = [
      key(Self.source(["GROUP_SIZE": 128])), key(Self.source(["GROUP_SIZE": 64, "TILE": 1])),
      key(ProgramSource(file: "portable/pool.cl", constants: ["GROUP_SIZE": 64])), key(Self.source(), .cuda),
      key(Self.source(), .openCL, ["a", "c"]), key(Self.source(), .openCL, ["ab"]),
    ]
    for other in others { #expect(cache.binary(for: other) == nil) }
    cache.store([], for: others[0])
    #expect(cache.binary(for: others[0]) == [])
    #expect(cache.binary(for: key()) == [1, 2, 3])
  }

  @Test("a file that is cut off, changed anywhere or another's is the same as none, and is replaced")
  func damage() throws {
    let cache = ProgramCache(directory: directory.path)
    let binary = (0..<200).map { UInt8($0) }
    cache.store(binary, for: key())
    let path = try onlyFile(in: directory.path)
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    func damaged(_ bytes: [UInt8]) throws {
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      #expect(cache.binary(for: key()) == nil)
      cache.store(binary, for: key())
      #expect(cache.binary(for: key()) == binary)
    }
    for count in [0, 1, 40, 81, whole.count - 1] { try damaged(Array(whole.prefix(count))) }
    for place in stride(from: 0, to: whole.count, by: 7) {
      var bytes = whole
      bytes[place] ^= 0x10
      try damaged(bytes)
    }
    try damaged(whole + [0])
  }

  @Test("a directory that cannot be made, and none at all, are the same as no cache")
  func unwritable() throws {
    let file = try directory.write("a file", to: "file")
    for cache in [ProgramCache(directory: "\(file)/below"), ProgramCache(directory: nil)] {
      cache.store([1], for: key())
      #expect(cache.binary(for: key()) == nil)
    }
  }

  @Test("many writers and readers at once see whole binaries only")
  func concurrent() async {
    let cache = ProgramCache(directory: directory.path)
    let key = key()
    await withTaskGroup(of: Bool.self) { group in
      for writer in 0..<8 {
        group.addTask {
          (0..<25).allSatisfy { round in
            cache.store([UInt8](repeating: UInt8(writer), count: 1000 + 500 * writer + round), for: key)
            let binary = cache.binary(for: key) ?? []
            return binary.count >= 1000 && Set(binary).count == 1
          }
        }
      }
      for await isWhole in group { #expect(isWhole) }
    }
  }

  @Test(
    "a device takes its programs from the cache, and compiles again what is damaged", arguments: OpenCLDevices.numbers)
  func device(number: Int) throws {
    func sum() throws -> [Float] {
      let backend = try OpenCLDevices.open(number, cache: directory.path)
      let total = try backend.upload([1, 2, 3] as [Float], columns: 3)
      try backend.add(backend.upload([10, 20, 30] as [Float], columns: 3), to: total)
      return try backend.download(total)
    }
    func inode() throws -> Int {
      let attributes = try FileManager.default.attributesOfItem(atPath: onlyFile(in: directory.path))
      return try #require(attributes[.systemFileNumber] as? Int)
    }
    #expect(try sum() == [11, 22, 33])
    let first = try inode()
    #expect(try sum() == [11, 22, 33])
    let second = try inode()
    #expect(second == first, "the binary was taken, not made again")

    let path = try onlyFile(in: directory.path)
    var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    bytes[bytes.count / 2] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let damaged = try inode()
    #expect(try sum() == [11, 22, 33])
    let third = try inode()
    #expect(third != damaged, "a file was made anew")
  }

  @Test("a binary that the driver does not take is compiled anew", arguments: OpenCLDevices.numbers)
  func foreignBinary(number: Int) throws {
    let backend = try OpenCLDevices.open(number, cache: directory.path)
    let total = try backend.upload([1] as [Float], columns: 1)
    try backend.add(total, to: total)
    let path = try onlyFile(in: directory.path)
    // A whole file whose binary is nonsense, as another version of a driver would find it.
    let header = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))).prefix(49)
    let nonsense = [UInt8]("no binary".utf8)
    let digest = [UInt8]("\(Digest(of: nonsense.span.bytes))\n".utf8)
    try Data(header + digest + nonsense).write(to: URL(fileURLWithPath: path))
    let again = try OpenCLDevices.open(number, cache: directory.path)
    let sum = try again.upload([4] as [Float], columns: 1)
    try again.add(sum, to: sum)
    #expect(try again.download(sum) == [8])
  }
}
