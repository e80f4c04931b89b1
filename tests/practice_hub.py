"""A hub to practise on: a server on this machine that answers what `huggingface_hub`'s real client asks when it makes a
repository, sends a folder and fetches a file. The pages about sharing use it."""
import base64, json, re, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PracticeHub(BaseHTTPRequestHandler):
    "A hub to practise on: repositories in memory, small files only, one token that may write."
    repositories, token = {}, 'hf_practice'
    def log_message(self, *_): pass

    def answer(self, value, code=200, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        for k, v in (dict(headers) | {'Content-Length': str(len(body))}).items():
            self.send_header(k.replace('_', '-'), v)
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)

    def do_POST(self):
        said = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if self.headers.get('Authorization') != f'Bearer {self.token}':
            return self.answer(dict(error='who are you?'), 401)
        if self.path == '/api/validate-yaml': return self.answer(dict(errors=[], warnings=[]))
        if self.path == '/api/repos/create':
            told = json.loads(said)
            name = '/'.join(filter(None, (told.get('organization'), told['name'])))
            self.repositories.setdefault(name, {})
            return self.answer(dict(url=f"http://{self.headers['Host']}/{name}", name=name, id=name))
        name, act = re.fullmatch(r'/api/models/([^/]+/[^/]+)/(\w+)/main.*', self.path).groups()
        if act == 'preupload':
            return self.answer(dict(files=[dict(path=f['path'], uploadMode='regular', shouldIgnore=False, oid=None)
                                           for f in json.loads(said)['files']]))
        for line in map(json.loads, said.splitlines()):
            if line['key'] == 'file':
                self.repositories[name][line['value']['path']] = base64.b64decode(line['value']['content'])
        self.answer(
            dict(commitUrl=f'http://{self.headers["Host"]}/{name}/commit/{"1"*40}', commitOid='1' * 40, success=True))

    def do_GET(self):
        if m := re.fullmatch(r'/api/models/([^/]+/[^/]+)(/.*)?', self.path):
            if m[1] not in self.repositories: return self.answer(dict(error='none'), 404, X_Error_Code='RepoNotFound')
            return self.answer(dict(id=m[1], sha='1'*40, siblings=[dict(rfilename=f) for f in self.repositories[m[1]]]))
        m = re.fullmatch(r'/([^/]+/[^/]+)/resolve/([^/]+)/(.+)', self.path)
        found = self.repositories.get(m[1]) if m else None
        if found is None: return self.answer(b'', 404, X_Error_Code='RepoNotFound')
        if m[2] not in ('main', '1'*40): return self.answer(b'', 404, X_Error_Code='RevisionNotFound')
        if m[3] not in found: return self.answer(b'', 404, X_Error_Code='EntryNotFound')
        self.answer(found[m[3]], X_Repo_Commit='1'*40, ETag=f'"{abs(hash(found[m[3]]))}"')
    do_HEAD = do_GET


def practice_hub():  # (address, server)
    "Start a hub to practise on, at an address of this machine."
    server = ThreadingHTTPServer(('127.0.0.1', 0), PracticeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f'http://127.0.0.1:{server.server_port}', server
