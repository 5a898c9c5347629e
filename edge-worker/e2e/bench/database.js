// Stands in for D1's service: takes every statement, keeps nothing, finds nothing. A call's history is written beside the
// call, so its cost at the far end is not what is measured; its absence would make every room try again and again.
export default {
  async fetch(request) {
    const asked = await request.json();
    const nothing = { success: true, results: { columns: [], rows: [] }, meta: { duration: 0, changes: 0, rows_read: 0, rows_written: 0 } };
    return Response.json(Array.isArray(asked) ? asked.map(() => nothing) : nothing);
  },
};
