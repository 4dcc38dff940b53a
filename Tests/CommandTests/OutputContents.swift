import Foundation
import Testing

/// Every file of an output, the report without its timings.
func contents(of output: String) throws -> [String: Data] {
  let names = try FileManager.default.contentsOfDirectory(atPath: output)
  return try Dictionary(
    uniqueKeysWithValues: names.map { name in
      let data = try Data(contentsOf: URL(fileURLWithPath: "\(output)/\(name)"))
      guard name == "recall.json" else { return (name, data) }
      var json = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
      json["timings"] = nil
      return (name, try JSONSerialization.data(withJSONObject: json, options: .sortedKeys))
    })
}
