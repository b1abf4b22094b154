// SPDX-License-Identifier: Apache-2.0

/// What `--sum` and `--stats` count: every number of a layout over many memos.
struct LayoutStatistics {
    private let layout: MemoLayout
    private let fields: [MemoLayout.Field]
    private var statistics: [FieldStatistics]
    private(set) var misfits: UInt64 = 0
    private(set) var firstMisfit: String?

    init(_ layout: MemoLayout) {
        self.layout = layout
        fields = layout.fields.filter(\.isNumber)
        statistics = fields.map { _ in FieldStatistics() }
    }

    mutating func add(_ memo: UnsafeRawBufferPointer) {
        if let misfit = layout.misfit(memo) {
            misfits += 1
            firstMisfit = firstMisfit ?? misfit
            return
        }
        for index in fields.indices {
            if let value = fields[index].number(in: memo) { statistics[index].add(value) }
        }
    }

    func write(to output: inout Output, isJSON: Bool, sumOnly: Bool) throws(OutputFailure) {
        if isJSON {
            for (field, statistics) in zip(fields, statistics) {
                try output.json { json in
                    json.field("field", field.name)
                    statistics.append(to: &json, sumOnly: sumOnly)
                }
            }
            return
        }
        var table =
            sumOnly
            ? Table(.left("FIELD"), .right("COUNT"), .right("SUM"))
            : Table(
                .left("FIELD"), .right("COUNT"), .right("SUM"), .right("SMALLEST"), .right("LARGEST"), .right("MEAN"))
        for (field, statistics) in zip(fields, statistics) {
            let texts = statistics.texts
            table.add(
                .text(field.name), .number(statistics.count), .text(texts.sum), .text(texts.minimum),
                .text(texts.maximum), .text(texts.mean))
        }
        try table.write(to: &output)
    }
}
