import Checkpoint
import Diagnostics
import Foundation
import JSON
import Tokenization

/// The files of a directory that say what its tokenizer is.
struct TokenizerFiles {
  /// The tokenizer.json.
  private let path: String
  /// The contents by name: those of tokenizer.json and of the files beside it that declare tokens.
  private let texts: [String: [UInt8]]

  /// Reads the files.
  ///
  /// - Throws: `Failure` when one that is there cannot be read.
  init(at path: String) throws(Failure) {
    self.path = path
    var texts = [TokenizerFiles.main: try readFile(path)]
    for name in TokenizerDocument.companions {
      let companion = TokenizerFiles.path(of: name, beside: path)
      if FileManager.default.fileExists(atPath: companion) { texts[name] = try readFile(companion) }
    }
    self.texts = texts
  }

  /// Whether the same bytes stand in the same files.
  func equal(_ other: TokenizerFiles) -> Bool { texts == other.texts }

  /// What they say together.
  ///
  /// - Throws: `Failure` that names the file that is no sound document.
  func document() throws(Failure) -> TokenizerDocument {
    var documents: [String: JSONValue] = [:]
    for (name, text) in texts {
      let place = TokenizerFiles.path(of: name, beside: path)
      documents[name] = try JSONValue(parsing: text, from: place, operation: "read the tokenizer")
    }
    let json = documents.removeValue(forKey: TokenizerFiles.main) ?? .null
    return try TokenizerDocument(json, companions: documents, subject: path)
  }

  private static let main = "tokenizer.json"

  private static func path(of name: String, beside path: String) -> String {
    name == main ? path : "\((path as NSString).deletingLastPathComponent)/\(name)"
  }
}
