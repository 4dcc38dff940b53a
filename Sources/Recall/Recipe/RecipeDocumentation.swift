extension RecipeField {
  /// Every field as a Markdown table: its key, its option, what it may be, what it does, and the methods that use it.
  public static var documentation: String {
    let rows = all.map { field in
      let key = field.place == .document ? field.key : "\(models.key)[].\(field.key)"
      let users = MergeMethods.all.filter { $0.uses(field) }.map(\.name)
      let argument = field.placeholder.map { " \($0)" } ?? ""
      return [
        "`\(key)`", "`\(field.option)\(argument)`", field.expected, field.help,
        users.count == MergeMethods.all.count ? "all" : users.joined(separator: ", "),
      ]
    }
    let head = ["key", "option", "value", "what it does", "methods"]
    return ([head, head.map { _ in "---" }] + rows).map { row in
      // A bar would end the cell.
      let cells = row.map { $0.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|") }
      return "| \(cells.joined(separator: " | ")) |"
    }.joined(separator: "\n")
  }
}
