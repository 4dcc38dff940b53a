import Checkpoint
import Diagnostics
import Testing

@Suite("Safetensors headers")
struct SafetensorsHeaderTests {
  @Test("a sound header is read, its tensors in the order of their bytes")
  func soundHeader() throws {
    let header = try parse(
      """
      {"b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [8, 20], "comment": [1]},
       "__metadata__": {"format": "pt"},
       "a": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]}}
      """, dataByteCount: 20)
    let start = header.byteCount
    #expect(
      header.tensors == [
        TensorRecord(name: "a", type: .float64, shape: [], byteRange: start..<start + 8),
        TensorRecord(name: "b", type: .bfloat16, shape: [2, 3], byteRange: start + 8..<start + 20),
      ])
    #expect(header.metadata == ["format": "pt"])
    #expect(header.tensors.map(\.elementCount) == [1, 6])
  }

  @Test("empty files, tensors without elements and tensors of packed elements are sound")
  func unusualHeaders() throws {
    #expect(try parse("{}", dataByteCount: 0).tensors == [])
    #expect(try parse(#"{"__metadata__": null}   "#, dataByteCount: 0).metadata == [:])
    let header = try parse(
      """
      {"none": {"dtype": "I64", "shape": [3, 0], "data_offsets": [0, 0]},
       "six": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]},
       "four": {"dtype": "F4", "shape": [2, 3], "data_offsets": [3, 6]},
       "end": {"dtype": "U8", "shape": [0], "data_offsets": [6, 6]}}
      """, dataByteCount: 6)
    #expect(header.tensors.map(\.name) == ["none", "six", "four", "end"])
    #expect(header.tensors.map(\.elementCount) == [0, 4, 6, 0])
  }

  @Test("every type of the format is known by its tag")
  func types() {
    let tags =
      "BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 F64 "
      + "I64 U64"
    #expect(StoredType.allCases.map(\.rawValue) == tags.split(separator: " ").map(String.init))
  }

  struct Attack: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let text: String
    let dataByteCount: Int
    let complaint: String

    init(_ name: String, _ text: String, dataByteCount: Int = 4, complaint: String) {
      testDescription = name
      self.text = text
      self.dataByteCount = dataByteCount
      self.complaint = complaint
    }

    /// An attack by the entry of the tensor `t`.
    init(
      _ name: String, dtype: String = "\"F32\"", shape: String = "[1]", offsets: String = "[0,4]", complaint: String
    ) {
      let entry = #"{"t":{"dtype":\#(dtype),"shape":\#(shape),"data_offsets":\#(offsets)}}"#
      self.init(name, entry, complaint: complaint)
    }
  }

  static let attacks = [
    Attack("not JSON", "safetensors", complaint: "a value"),
    Attack("not an object", "[]", complaint: "a JSON object"),
    Attack("nothing", "", complaint: "a value"),
    Attack("cut off", #"{"t":{"dtype":"F32","shape":[1],"data_off"#, complaint: "string"),
    Attack("text after the object", "{} {}", dataByteCount: 0, complaint: "the end of the document"),
    Attack("deep nesting", String(repeating: #"{"a":"#, count: 100_000), complaint: "nested"),
    Attack(
      "a tensor twice",
      #"{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
      complaint: "every key once"),
    Attack(
      "a key of an entry twice", #"{"t":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
      complaint: "every key once"),
    Attack("metadata that is no object", #"{"__metadata__":[]}"#, dataByteCount: 0, complaint: "an object of strings"),
    Attack("metadata that is no string", #"{"__metadata__":{"a":1}}"#, dataByteCount: 0, complaint: "a string"),
    Attack("an entry that is no object", #"{"t":4}"#, complaint: "an object with dtype"),
    Attack("an entry without keys", #"{"t":{}}"#, complaint: "dtype"),
    Attack("an unknown dtype", dtype: "\"F31\"", complaint: "a dtype of the safetensors format"),
    Attack("a dtype in lower case", dtype: "\"f32\"", complaint: "a dtype of the safetensors format"),
    Attack("a dtype that is no string", dtype: "32", complaint: "a string as dtype"),
    Attack("a negative extent", shape: "[-1,-1]", complaint: "whole numbers from 0"),
    Attack("a fractional extent", shape: "[1.0]", complaint: "whole numbers from 0"),
    Attack("an extent of 2^64", shape: "[18446744073709551616]", complaint: "whole numbers from 0"),
    Attack("a shape that is no array", shape: "1", complaint: "an array as shape"),
    Attack("extents whose product overflows", shape: "[4294967296,4294967296,4]", complaint: "a countable number"),
    Attack("extents that overflow before a zero", shape: "[9223372036854775807,2,0]", complaint: "a countable number"),
    Attack("elements that do not fill bytes", dtype: "\"F4\"", shape: "[7]", complaint: "whole bytes"),
    Attack("a shape smaller than its bytes", shape: "[0]", complaint: "0 bytes for F32"),
    Attack("a shape larger than its bytes", shape: "[2]", complaint: "8 bytes for F32"),
    Attack("offsets that go backwards", offsets: "[4,0]", complaint: "begin ≤ end"),
    Attack("a negative offset", offsets: "[-4,0]", complaint: "whole numbers from 0"),
    Attack("offsets beyond the file", offsets: "[0,8]", complaint: "begin ≤ end ≤ 4"),
    Attack("offsets at the end of all numbers", offsets: "[9223372036854775803,9223372036854775807]", complaint: "≤ 4"),
    Attack("one offset", offsets: "[4]", complaint: "data_offsets [begin, end]"),
    Attack("three offsets", offsets: "[0,4,4]", complaint: "at most 2 numbers"),
    Attack(
      "overlap",
      #"{"s":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"t":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
      complaint: "starts at offset 3"),
    Attack(
      "the same bytes for two tensors",
      #"{"s":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
      complaint: "starts at offset 4"),
    Attack(
      "a hole",
      #"{"s":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
      complaint: "starts at offset 1"),
    Attack("bytes before the first tensor", dtype: "\"U8\"", offsets: "[3,4]", complaint: "starts at offset 0"),
    Attack("bytes after the last tensor", dtype: "\"U8\"", offsets: "[0,1]", complaint: "a file of"),
    Attack("bytes of no tensor", "{}", complaint: "a file of"),
    Attack(
      "an empty tensor inside another",
      #"{"s":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}"#,
      complaint: "starts at offset 4"),
  ]

  @Test("an attack is refused with the file's name", arguments: attacks)
  func attack(_ attack: Attack) {
    let failure = #expect(throws: Failure.self) { try parse(attack.text, dataByteCount: attack.dataByteCount) }
    #expect(failure?.category == .badData)
    #expect(failure?.subject.hasPrefix("evil.safetensors") == true)
    #expect(failure?.expected.contains(attack.complaint) == true, "\(failure?.expected ?? "")")
  }

  @Test("a complaint about a tensor names it")
  func tensorName() {
    let failure = #expect(throws: Failure.self) {
      try parse(#"{"layer.7":{"dtype":"F3","shape":[],"data_offsets":[0,4]}}"#, dataByteCount: 4)
    }
    #expect(failure?.subject == "evil.safetensors, tensor layer.7")
  }

  @Test("a name in a complaint neither fills nor steers the terminal")
  func hostileName() throws {
    let name = "\\u001b[2J" + String(repeating: "e\u{301}", count: 100_000)
    let failure = #expect(throws: Failure.self) {
      try parse(#"{"\#(name)":{"dtype":"\#(name)","shape":[],"data_offsets":[0,4]}}"#, dataByteCount: 4)
    }
    let description = try #require(failure?.description)
    #expect(description.unicodeScalars.count < 1000)
    #expect(!description.unicodeScalars.contains("\u{1B}"))
  }

  @Test("text that is not UTF-8 is refused")
  func invalidText() {
    let text = Array(#"{"__metadata__":{"a":""#.utf8) + [0xFF] + Array("\"}}".utf8)
    #expect(throws: Failure.self) {
      try SafetensorsHeader.parse(text, fileByteCount: 8 + text.count, file: "evil.safetensors")
    }
  }

  @Test("a length field that cannot be is refused before anything is read", arguments: [[], [1, 2, 3]])
  func shortFile(bytes: [UInt8]) throws { try expectRefusal(of: bytes, complaint: "at least 8 bytes") }

  @Test("a header longer than any reader accepts is refused")
  func hugeLength() throws {
    try expectRefusal(of: [UInt8](repeating: 0xFF, count: 64), complaint: "at most 100000000 bytes")
    try expectRefusal(of: [0x01, 0xE1, 0xF5, 0x05, 0, 0, 0, 0, 0x7B], complaint: "at most 100000000 bytes")
  }

  @Test("a header longer than its file is refused")
  func truncatedHeader() throws {
    try expectRefusal(of: [200, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8), complaint: "a header of 200 bytes")
  }

  private func expectRefusal(of bytes: [UInt8], complaint: String) throws {
    let directory = try TemporaryDirectory()
    try writeFile(bytes, to: directory.file("model.safetensors"))
    let failure = #expect(throws: Failure.self) { try Checkpoint(directory: directory.path) }
    #expect(failure?.category == .badData)
    #expect(failure?.expected.contains(complaint) == true, "\(failure?.expected ?? "")")
  }
}

@discardableResult
private func parse(_ text: String, dataByteCount: Int) throws(Failure) -> SafetensorsHeader {
  let text = Array(text.utf8)
  return try SafetensorsHeader.parse(text, fileByteCount: 8 + text.count + dataByteCount, file: "evil.safetensors")
}
